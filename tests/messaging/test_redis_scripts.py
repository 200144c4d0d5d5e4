"""Scripts in Redis: some users load them, others wait for them."""

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.messaging.redis.running import FRESH
from novnc_twisted.messaging.redis.scripts import ALL, ANNOUNCE, SERVICES
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import NOPERM, NOSCRIPT, OK

LOADING = ("SCRIPT", "EVAL")


class WaitingTests(LinkCase):
    """A user without the right to load scripts never tries to, since Redis keeps each attempt in ``ACL LOG``."""

    def test_waits_until_they_are_there(self) -> None:
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        running = self.run_script(ANNOUNCE)
        self.advance(3)
        self.assertNoResult(running)
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(0.2)
        self.assertEqual(self.successResultOf(running), 1)
        self.assertEqual(self.redis.named(*LOADING), [])

    def test_within_its_deadline(self) -> None:
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        running = self.run_script(SERVICES, deadline=0.5)
        self.advance(0.6)
        self.assertIn("no consoleauth has loaded them", self.unavailable(running))
        self.assertEqual(self.redis.named(*LOADING), [])

    def test_a_late_command_meanwhile(self) -> None:
        """It needs no script, so its error does not mention scripts."""
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        self.run_script(SERVICES).addErrback(lambda _: None)
        self.redis.answers |= {"EVALSHA": None, "GET": None}
        command = Deferred.fromCoroutine(self.link.execute("GET", "x", deadline=0.5))
        self.advance(0.6)
        self.assertEqual(self.unavailable(command), "Redis did not answer within 0.5 s")

    def test_the_stop_ends_the_wait(self) -> None:
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        running = self.run_script(SERVICES)
        self.advance(0.5)
        stopping = Deferred.fromCoroutine(self.link.stop())
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.assertIn("stopped", self.unavailable(running))
        self.health.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_caller_that_cancels_during_the_stop(self) -> None:
        """It gets CancelledError; another error could make it try again."""
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        running = self.run_script(SERVICES)
        self.advance(0.5)
        stopping = Deferred.fromCoroutine(self.link.stop())
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.clock.advance(0)
        self.successResultOf(stopping)

    def test_missing_scripts_are_logged_once(self) -> None:
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        for _ in range(10):
            running = self.run_script(ANNOUNCE, deadline=2)
            self.advance(2.1)
            self.unavailable(running)
        self.assertEqual([line[:26] for line in self.redis_lines()], ["has none of the scripts th"])
        self.redis.answers["EVALSHA"] = b":1\r\n"
        for _ in range(2):
            self.successResultOf(self.run_script(ANNOUNCE))
        self.assertEqual(self.redis_lines()[1:], ["has the scripts"])

    def test_a_short_wait_is_not_worth_a_line(self) -> None:
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.link.start()
        running = self.run_script(ANNOUNCE)
        self.advance(0.7)
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(0.25)
        self.successResultOf(running)
        self.assertEqual(self.redis_lines(), [])

    def test_others_may_have_waited_too(self) -> None:
        """When the scripts have just been loaded, missing services may still be waiting to announce themselves."""
        self.link.start()
        self.run_script(ANNOUNCE)
        self.assertEqual(self.link.grace_period, 0)
        self.redis.answers["EVALSHA"] = NOSCRIPT
        running = self.run_script(ANNOUNCE)
        self.assertTrue(self.link.waits_for_scripts)
        self.redis.answers["EVALSHA"] = b":1\r\n"
        self.advance(0.3)
        self.successResultOf(running)
        self.assertFalse(self.link.waits_for_scripts)
        self.assertGreater(self.link.grace_period, 0.4)
        self.advance(0.6)
        self.assertEqual(self.link.grace_period, 0)

    def test_a_wait_for_scripts_is_no_stall(self) -> None:
        """A stall begins a grace period of seconds, in which a look-up would miss its deadline."""
        self.link.start()
        self.redis.answers["EVALSHA"] = NOSCRIPT
        running = self.run_script(SERVICES)
        self.advance(0.9)
        self.redis.answers["EVALSHA"] = b"*0\r\n"
        self.advance(0.2)
        self.successResultOf(running)
        self.assertLessEqual(self.link.grace_period, FRESH)

    def test_forgotten_later(self) -> None:
        """After SCRIPT FLUSH, or on another primary."""
        self.link.start()
        self.successResultOf(self.run_script(ANNOUNCE))
        self.redis.answers["EVALSHA"] = NOSCRIPT
        running = self.run_script(ANNOUNCE)
        self.redis.die()
        self.advance(0.2)
        self.unavailable(running)
        self.redis.refuses = False
        self.advance(1)
        running = self.run_script(ANNOUNCE)
        self.advance(1)
        self.assertNoResult(running)
        self.stop()
        self.unavailable(running)
        self.assertEqual(self.redis.named(*LOADING), [])

    def test_a_redis_that_is_loading(self) -> None:
        """It is not used before it is ready."""
        self.redis.answers["EVALSHA"] = b"-LOADING Redis is loading the dataset in memory\r\n"
        self.link.start()
        self.advance(2)
        self.assertEqual(
            self.redis_lines(), ["cannot be reached (it is still loading its data from disk); trying again"]
        )
        self.redis.answers["EVALSHA"] = NOSCRIPT
        self.advance(3)
        self.assertEqual(self.redis_lines()[1:], ["is back"])


class LoadingTests(LinkCase):
    """consoleauth, and processes without a role."""

    may_load = True

    def loaded(self) -> list[str]:
        return [words[2] for words in self.redis.named("SCRIPT")]

    def test_with_each_connection(self) -> None:
        self.link.start()
        self.assertEqual(self.loaded(), [script.text for script in ALL])
        self.redis.connections[0].lose()
        self.advance(1)
        self.assertEqual(len(self.loaded()), 2 * len(ALL))

    def test_when_they_were_flushed(self) -> None:
        self.link.start()
        answers = [NOSCRIPT, b":1\r\n"]
        self.redis.answers["EVALSHA"] = lambda _: answers.pop(0)
        self.assertEqual(self.successResultOf(self.run_script(ANNOUNCE)), 1)
        self.assertEqual(len(self.loaded()), 2 * len(ALL))

    def test_by_eval_where_script_load_is_denied(self) -> None:
        """EVAL runs each script, too, but a script without arguments does nothing."""
        self.redis.answers["SCRIPT"] = NOPERM
        self.link.start()
        self.assertEqual(self.redis.named("EVAL"), [["EVAL", script.text, "0"] for script in ALL])
        self.redis.connections[0].lose()
        self.advance(1)
        self.assertEqual(len(self.redis.named("EVAL")), 2 * len(ALL))
        self.assertEqual(len(self.redis.named("SCRIPT")), 1)
        for script in ALL:
            self.assertTrue(script.text.lstrip().startswith("if #ARGV == 0 then return"))

    def test_denied_to_several_at_once(self) -> None:
        """Each of them then uses EVAL."""
        self.link.start()
        self.redis.answers |= dict.fromkeys(("EVALSHA", *LOADING))
        running = [self.run_script(ANNOUNCE) for _ in range(3)]
        for answer in (NOSCRIPT, NOPERM, *(OK for _ in ALL), b":1\r\n"):
            for _ in running:
                self.redis.connections[0].say(answer)
        self.assertEqual([self.successResultOf(one) for one in running], [1, 1, 1])
        self.assertEqual(len(self.redis.named("EVAL")), 3 * len(ALL))

    def test_denied_both(self) -> None:
        """The process then waits, and does not try to load them again."""
        self.redis.answers |= {"SCRIPT": NOPERM, "EVAL": NOPERM, "EVALSHA": NOSCRIPT}
        self.link.start()
        running = self.run_script(ANNOUNCE)
        self.advance(2)
        self.redis.connections[0].lose()
        self.advance(2)
        self.unavailable(running)
        self.assertEqual([words[0] for words in self.redis.named(*LOADING)], ["SCRIPT", "EVAL"])

    def test_a_redis_that_never_keeps_them(self) -> None:
        """The attempts must not become a busy loop."""
        self.redis.answers |= {"SCRIPT": OK, "EVALSHA": NOSCRIPT}
        self.link.start()
        running = self.run_script(ANNOUNCE, deadline=2)
        self.advance(2.1)
        self.unavailable(running)
        self.assertLess(len(self.redis.named("EVALSHA")), 50)
