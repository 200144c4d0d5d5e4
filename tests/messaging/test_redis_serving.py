"""Serving a topic: each request runs once, only its caller gets the answer, and the work ends with the deadline."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.errors import ConsoleForbidden, ServiceUnavailable
from novnc_twisted.messaging.redis.messages import MAX_DEADLINE, Request, read_reply
from novnc_twisted.messaging.redis.scripts import REPLY
from novnc_twisted.messaging.redis.sealing import Opener
from novnc_twisted.messaging.redis.serving import FINAL_REPLIES, MAX_REPLIES, Serving
from novnc_twisted.messaging.wire import MAX_CONCURRENCY, outcome
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import EPOCH, bulk

CALLER = "0123456789abcdef" * 2
CALL = "f" * 32


class ServingTests(LinkCase):
    """The topic ``t``: the API may call ``echo``, ``forbid`` and ``hold``, a proxy only ``echo``."""

    def setUp(self) -> None:
        super().setUp()
        self.opener = Opener()
        self.ran: list[Any] = []
        self.held: list[Deferred[Any]] = []
        self.serving = self.serve()
        self.link.start()
        self.serving.start()
        self.advance(0.1)

    def serve(self) -> Serving:
        async def echo(**arguments: Any) -> Any:
            self.ran.append(arguments)
            return arguments

        async def forbid() -> Any:
            raise ConsoleForbidden("why")

        def hold() -> Deferred[Any]:
            self.held.append(Deferred(lambda _: self.ran.append("cancelled")))
            return self.held[-1]

        connect: Callable[[str], Any] = lambda purpose: self.made(purpose, after=self.link)  # noqa: E731
        callers = {"echo": ("api", "proxy"), "forbid": ("api",), "hold": ("api",)}
        methods = {"echo": echo, "forbid": forbid, "hold": hold}
        return Serving(self.clock, connect, self.link, "t", methods, callers, self.health)

    def stop(self) -> None:
        stopping = Deferred.fromCoroutine(self.serving.stop())
        self.advance(0.1)
        self.successResultOf(stopping)
        super().stop()

    def request(self, method: str, seconds: float = 5, **arguments: Any) -> str:
        """Return a request of the caller, encoded for a queue."""
        gives_up = int(1000 * (EPOCH + self.clock.seconds() + seconds))
        return Request(CALL, CALLER, self.opener.public_key, gives_up, method, arguments).encode()

    def push(self, text: str, role: str = "api") -> None:
        """Let a request arrive in the queue of a role."""
        key = f"novnc:q:t:{role}" if role else "novnc:q:t"
        [connection] = [one for one in self.redis.blocked() if key in one.last]
        connection.say(bulk(key, text))

    def replies(self) -> list[list[str]]:
        """Return the key, text, end and limit of each reply."""
        return [words[4:] for words in self.redis.named("EVALSHA") if words[1] == REPLY.sha and len(words) > 3]

    def answer(self) -> Any:
        """Return the result of the last reply."""
        call_id, text = read_reply(self.replies()[-1][1], self.opener)
        self.assertEqual(call_id, CALL)
        return outcome(text)

    def test_answered_to_the_caller_alone(self) -> None:
        self.push(self.request("echo", value=[1, "ü"]))
        self.assertEqual(self.ran, [{"value": [1, "ü"]}])
        self.assertEqual(self.answer(), {"value": [1, "ü"]})
        [(key, text, end, limit)] = self.replies()
        self.assertEqual((key, limit), (f"novnc:r:api:{CALLER}", str(MAX_REPLIES)))
        self.assertEqual(int(end), int(1000 * (EPOCH + self.clock.seconds() + 5)))
        self.assertNotIn("value", text)

    def test_the_reply_goes_to_the_role_that_called(self) -> None:
        """The queue proves the role, whatever the request contains."""
        self.push(self.request("echo"), role="proxy")
        self.push(self.request("echo"), role="")
        self.assertEqual([one[0] for one in self.replies()], [f"novnc:r:proxy:{CALLER}", f"novnc:r:{CALLER}"])

    def test_refusals_keep_their_type(self) -> None:
        self.push(self.request("forbid"))
        with self.assertRaises(ConsoleForbidden) as caught:
            self.answer()
        self.assertEqual(caught.exception.detail, "why")

    def test_a_method_of_another_role(self) -> None:
        self.push(self.request("forbid"), role="proxy")
        with self.assertRaises(ServiceUnavailable) as caught:
            self.answer()
        self.assertEqual(caught.exception.detail, "t has no such method")
        [line] = self.redis_lines()
        self.assertTrue(
            line.endswith(": a process with role proxy called forbid of t, which this role may not call: refused"), line
        )

    def test_an_unknown_method_is_no_attack(self) -> None:
        self.push(self.request("unknown"), role="proxy")
        with self.assertRaises(ServiceUnavailable):
            self.answer()
        self.assertEqual(self.redis_lines(), [])

    def test_too_late_to_run(self) -> None:
        for seconds in (-0.01, -1):
            self.push(self.request("echo", seconds))
        self.assertEqual((self.ran, self.replies()), ([], []))

    def test_a_caller_may_have_given_up(self) -> None:
        """Without Redis' time a request does not run: it could be too late."""
        self.redis.answers["TIME"] = b"-LOADING Redis is loading\r\n"
        self.push(self.request("echo"))
        self.advance(1)
        self.assertEqual((self.ran, self.replies()), ([], []))

    def test_work_ends_with_the_deadline(self) -> None:
        self.push(self.request("hold", 2))
        self.advance(1.9)
        self.assertEqual(self.ran, [])
        self.advance(0.2)
        self.assertEqual((self.ran, self.replies()), (["cancelled"], []))

    def test_no_reply_waits_longer_than_a_call_may_take(self) -> None:
        """This also holds for calls that do not run because this server stops."""
        self.push(self.request("echo", 10**9))
        self.patch(self.link, "exact_now", Deferred)
        self.push(self.request("echo", 10**9))
        stopping = Deferred.fromCoroutine(self.serving.stop([[self.request("echo", 10**9)]]))
        self.advance(0.1)
        self.successResultOf(stopping)
        limit = 1000 * (EPOCH + self.clock.seconds() + MAX_DEADLINE)
        self.assertEqual([int(reply[2]) <= limit for reply in self.replies()], [True] * 3)

    def test_the_last_calls_are_finished(self) -> None:
        """A service that is restarted does not fail the calls that it has taken, unless they take too long."""
        for answered in (True, False):
            self.push(self.request("hold"))
            # [[]]: no other server will take the requests in the queues, and the queues are empty.
            stopping = Deferred.fromCoroutine(self.serving.stop([[]], grace=2.0))
            self.advance(1.9)
            self.assertNoResult(stopping)
            if answered:
                self.held[-1].callback("done")
                self.advance(0.1)
                self.assertEqual((self.answer(), self.ran), ("done", []))
            else:
                self.advance(0.2)
                self.assertEqual(self.ran, ["cancelled"])
            self.successResultOf(stopping)
            self.serving = self.serve()
            self.serving.start()
            self.advance(0.1)

    def test_a_call_that_comes_at_the_end(self) -> None:
        """Redis may still deliver a call after this server has withdrawn: the call is answered."""
        stopping = Deferred.fromCoroutine(self.serving.stop(grace=2.5))
        self.push(self.request("echo", value=1))
        self.assertEqual(self.answer(), {"value": 1})
        self.assertNoResult(stopping)
        self.advance(0.1)
        # This server has closed its sending side of each connection, so Redis has ended each BLPOP.
        self.successResultOf(stopping)
        self.serving = self.serve()
        self.serving.start()
        self.advance(0.1)

    def test_a_method_that_cancels_something_of_its_own(self) -> None:
        self.push(self.request("hold"))
        self.held[0].errback(CancelledError())
        with self.assertRaises(ServiceUnavailable) as caught:
            self.answer()
        self.assertEqual(caught.exception.detail, "t gave up")

    def test_invalid_requests(self) -> None:
        """One log line, which does not quote them; the next request is served."""
        for text in ("secret", "{}", '{"id":"secret"}'):
            self.push(text)
        self.assertEqual(len(self.redis_lines()), 1)
        self.assertIn("a request for t was dropped: ", self.redis_lines()[0])
        self.assertNotIn("secret", self.redis_lines()[0])
        self.push(self.request("echo"))
        self.assertEqual(self.answer(), {})

    def test_a_lost_reply(self) -> None:
        self.redis.answers["EVALSHA"] = b"-OOM command not allowed\r\n"
        self.push(self.request("echo"))
        self.assertIn("an answer of t was lost: Redis answered OOM", self.redis_lines()[-1])

    def test_a_bug_while_serving_is_logged(self) -> None:
        """Serving continues.  A cancelled request is not a bug."""

        async def broken() -> int:
            raise KeyError("x")

        real = self.link.exact_now
        self.link.exact_now = broken  # type: ignore[method-assign]
        self.push(self.request("echo"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.link.exact_now = real  # type: ignore[method-assign]
        self.push(self.request("echo"))
        self.assertEqual(self.answer(), {})
        self.redis.answers["TIME"] = None
        self.push(self.request("echo"))
        stopping = Deferred.fromCoroutine(self.serving.stop())
        self.advance(FINAL_REPLIES + 0.2)
        self.successResultOf(stopping)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_slots_are_freed(self) -> None:
        for _ in range(MAX_CONCURRENCY):
            self.push(self.request("hold", 60))
        key = "novnc:q:t:api"
        self.assertEqual([one for one in self.redis.blocked() if key in one.last], [])
        self.held[0].callback(None)
        [glancing] = [one for one in self.redis.blocked() if "novnc:q:t:compute" in one.last]
        glancing.say(b"*-1\r\n")
        self.push(self.request("echo"))
        self.assertEqual(self.answer(), {})

    def test_a_full_queue_of_one_role_delays_no_other(self) -> None:
        for _ in range(MAX_CONCURRENCY):
            self.push(self.request("hold", 60))
        self.push(self.request("echo"), role="proxy")
        self.assertEqual(self.answer(), {})

    def test_pause(self) -> None:
        self.serving.pause(True)
        self.push(self.request("echo"))  # a BLPOP was under way
        self.assertEqual([words for one in self.redis.blocked() for words in one.last if words.endswith(":api")], [])
        self.serving.pause(False)
        self.push(self.request("echo"))
        self.assertEqual(len(self.ran), 2)

    def test_stopped_while_calls_run(self) -> None:
        """Their callers get an answer before their deadlines."""
        self.push(self.request("hold", 60))
        stopping = Deferred.fromCoroutine(self.serving.stop([[], [self.request("echo", 60), "junk"]]))
        self.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual(self.ran, ["cancelled"])
        self.assertEqual(len(self.replies()), 2)
        with self.assertRaises(ServiceUnavailable) as caught:
            self.answer()
        self.assertEqual(caught.exception.detail, "t was stopped")

    def test_stopped_while_a_reply_is_sent(self) -> None:
        """The method has run, so its caller gets the answer if Redis takes it in time."""
        self.redis.answers["EVALSHA"] = None
        self.push(self.request("echo"))
        self.redis.answers["TIME"] = None
        [sending] = [one for one in self.redis.connections if one.last[:2] == ["EVALSHA", REPLY.sha]]
        stopping = Deferred.fromCoroutine(self.serving.stop())
        self.advance(FINAL_REPLIES - 0.1)
        self.assertNoResult(stopping)
        sending.say(b":1\r\n")
        self.successResultOf(stopping)
        self.assertEqual((self.answer(), self.redis_lines()), ({}, []))

    def test_a_reply_that_redis_does_not_take(self) -> None:
        """The stop waits only a bounded time for it."""
        self.redis.answers["EVALSHA"] = None
        self.push(self.request("echo"))
        self.redis.answers["TIME"] = None
        stopping = Deferred.fromCoroutine(self.serving.stop())
        self.advance(FINAL_REPLIES - 0.1)
        self.assertNoResult(stopping)
        self.advance(0.3)
        self.successResultOf(stopping)

    def test_roles_of_each_connection(self) -> None:
        lists = [sorted(key.removeprefix("novnc:q:t") for key in one.last[1:-1]) for one in self.redis.blocked()]
        self.assertEqual(sorted(lists), [["", ":api", ":compute", ":consoleauth"], [":proxy"]])
        self.assertEqual(
            sorted(key.removeprefix("novnc:q:t") for key in self.serving.lists),
            ["", ":api", ":compute", ":consoleauth", ":proxy"],
        )
