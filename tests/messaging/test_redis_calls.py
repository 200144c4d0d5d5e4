"""Calls through queues in Redis, and the keyed store, with a fake Redis."""

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from novnc_twisted.errors import ConsoleForbidden, ServiceUnavailable
from novnc_twisted.messaging.interfaces import UnusableRecord
from novnc_twisted.messaging.redis.calls import Calls
from novnc_twisted.messaging.redis.messages import Request, read_request, write_reply
from novnc_twisted.messaging.redis.scripts import EXTEND, INDEXED, PUT, QUEUE, REMOVE
from novnc_twisted.messaging.redis.sealing import Opener
from novnc_twisted.messaging.redis.store import RedisStore
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode, refused
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import EPOCH, NOPERM, bulk

PROCESS = "0123456789abcdef" * 2
SECRET = "9f4d2c7e-plain-password"


class CallTests(LinkCase):
    """One process with the role of the API, which calls the topic ``t``."""

    def setUp(self) -> None:
        super().setUp()
        self.redis.answers["EVALSHA"] = b"+queued\r\n"
        self.calls = Calls(
            self.clock, lambda purpose: self.made(purpose, after=self.link), self.link, PROCESS, "api", self.health
        )
        self.link.start()
        self.calls.start()

    def stop(self) -> None:
        stopping = Deferred.fromCoroutine(self.calls.stop())
        self.advance(0.1)
        self.successResultOf(stopping)
        super().stop()

    def call(self, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        return self.calls.call("t", "method", deadline, arguments)

    def queued(self) -> Request:
        """Return the last request that was queued."""
        words = self.redis.named("EVALSHA")[-1]
        self.assertEqual(words[1:6], [QUEUE.sha, "0", "2", "novnc:p:t", "novnc:q:t:api"])
        return read_request(words[6])

    def answer(self, text: str) -> None:
        """Let Redis deliver a reply from the process' own queue."""
        [connection] = self.redis.blocked()
        self.assertEqual(connection.last[1], f"novnc:r:api:{PROCESS}")
        connection.say(bulk(connection.last[1], text))

    def test_answered(self) -> None:
        called = self.call(value=1)
        request = self.queued()
        self.assertEqual((request.method, request.arguments, request.reply_to), ("method", {"value": 1}, PROCESS))
        self.assertEqual(request.gives_up, 1000 * (EPOCH + 5))
        self.answer(write_reply(request, '{"result":{"a":1}}'))
        self.assertEqual(self.successResultOf(called), {"a": 1})

    def test_the_end_of_a_call_is_in_redis_time(self) -> None:
        """It does not depend on the clock of this process."""
        self.redis.ahead = 60
        self.advance(100)
        called = self.call(deadline=7)
        self.assertAlmostEqual(self.queued().gives_up, 1000 * (EPOCH + 100 + 60 + 7), delta=2)
        called.cancel()
        self.failureResultOf(called, CancelledError)

    def test_a_request_that_is_too_long(self) -> None:
        """It is refused at once, even if its arguments alone are within the limit."""
        empty = len(encode({"value": ""}))
        self.redis.die()
        for length in (MAX_MESSAGE, MAX_MESSAGE - empty):
            with self.assertRaisesRegex(ValueError, f"over the limit of {MAX_MESSAGE}"):
                self.call(value="x" * length)
        self.assertEqual(self.calls.pending, [])

    def test_each_gets_its_own_answer(self) -> None:
        calls, requests = [], []
        for number in range(5):
            calls.append(self.call(value=number))
            requests.append(self.queued())
        for request in reversed(requests):
            self.answer(write_reply(request, encode({"result": request.arguments["value"]})))
        self.assertEqual([self.successResultOf(one) for one in calls], list(range(5)))

    def test_refused(self) -> None:
        called = self.call()
        self.answer(write_reply(self.queued(), encode(refused(ConsoleForbidden("why")))))
        self.assertEqual(self.failureResultOf(called, ConsoleForbidden).value.detail, "why")

    def test_not_queued(self) -> None:
        for answer, detail in (
            ("nobody", "nobody serves t"),
            ("late", "Redis got the call for t too late"),
            ("full", "too many calls wait for t"),
            ("other", "Redis does not queue calls for t"),
        ):
            self.redis.answers["EVALSHA"] = f"+{answer}\r\n".encode()
            self.assertEqual(self.unavailable(self.call()), detail)

    def test_not_queued_yet(self) -> None:
        """After an outage the server may still be reconnecting: the call is tried again within its deadline."""
        self.redis.die()
        self.redis.refuses = False
        self.advance(1)
        self.redis.answers["EVALSHA"] = b"+nobody\r\n"
        called = self.call(deadline=10)
        self.advance(1)
        self.assertNoResult(called)
        self.redis.answers["EVALSHA"] = b"+queued\r\n"
        self.advance(0.2)
        self.answer(write_reply(self.queued(), '{"result":1}'))
        self.assertEqual(self.successResultOf(called), 1)

    def test_no_answer(self) -> None:
        called = self.call(deadline=2)
        request = self.queued()
        self.advance(2.05)
        self.assertEqual(self.unavailable(called), "t did not answer within 2 s")
        self.answer(write_reply(request, '{"result":1}'))  # too late
        self.assertEqual(self.redis_lines(), [])

    def test_cancelled(self) -> None:
        before = len(self.clock.getDelayedCalls())
        called = self.call()
        called.cancel()
        self.failureResultOf(called, CancelledError)
        self.assertEqual(len(self.clock.getDelayedCalls()), before)

    def test_not_allowed(self) -> None:
        self.redis.answers["EVALSHA"] = NOPERM
        self.assertEqual(self.unavailable(self.call()), "Redis answered NOPERM")
        [line] = self.redis_lines()
        self.assertIn("may not do what this service does", line)

    def test_invalid_deadlines(self) -> None:
        for deadline in (0, -1, 301):
            with self.assertRaises(ServiceUnavailable):
                self.call(deadline=deadline)

    def test_invalid_replies(self) -> None:
        """They are dropped with one log line, which does not quote them; a valid reply still counts."""
        called = self.call()
        request = self.queued()
        forged = Request(request.call_id, PROCESS, Opener().public_key, 0, "x", {})
        other = Request("f" * 32, PROCESS, request.public_key, 0, "x", {})
        for text in (
            SECRET,
            "{}",
            json.dumps({"id": request.call_id, "sealed": SECRET}),
            write_reply(forged, '{"result":1}'),
            json.dumps(json.loads(write_reply(other, '{"result":1}')) | {"id": request.call_id}),
            write_reply(request, SECRET),
            write_reply(request, "[]"),
        ):
            self.answer(text)
            self.assertNoResult(called)
        self.assertEqual(len(self.redis_lines()), 1)
        self.assertNotIn(SECRET, self.redis_lines()[0])
        self.answer(write_reply(request, '{"result":1}'))
        self.assertEqual(self.successResultOf(called), 1)

    def test_stopped(self) -> None:
        called = self.call()
        self.stop()
        self.assertEqual(self.unavailable(called), "the transport was stopped")

    def test_stopped_while_a_failure_cancels_another_call(self) -> None:
        first, second, third = (self.call() for _ in range(3))
        first.addErrback(lambda _: second.cancel())
        second.addErrback(lambda _: None)
        self.stop()
        self.assertEqual(self.unavailable(third), "the transport was stopped")


class StoreTests(LinkCase):
    """The commands that the keyed store sends."""

    def setUp(self) -> None:
        super().setUp()
        self.store = RedisStore(self.link)
        self.link.start()

    def asked(self) -> list[str]:
        """Return the last command, without the words that all scripts have in common."""
        words = self.redis.heard[-1]
        return words[:2] + words[3:] if words[0] == "EVALSHA" else words

    def test_put(self) -> None:
        self.successResultOf(self.store.put("k", {"a": 1}, 1.5, "i"))
        self.assertEqual(self.asked(), ["EVALSHA", PUT.sha, "2", "novnc:s:k", "novnc:i:i", '{"a":1}', "1500", "k"])
        self.successResultOf(self.store.put("k", {}, 0))
        self.assertEqual(self.asked(), ["EVALSHA", REMOVE.sha, "1", "novnc:s:k"])

    def test_put_new(self) -> None:
        self.redis.answers["SET"] = b"+OK\r\n"
        self.assertTrue(self.successResultOf(self.store.put_new("k", {}, 2)))
        self.assertEqual(self.asked(), ["SET", "novnc:s:k", "\n{}", "PX", "2000", "NX"])
        self.redis.answers["SET"] = b"$-1\r\n"
        self.assertFalse(self.successResultOf(self.store.put_new("k", {}, 2)))

    def test_put_new_with_a_ttl_of_0(self) -> None:
        """Nothing is stored; the result says whether the key was free."""
        for reply, free in ((b"$-1\r\n", True), (b"$2\r\n\n{\r\n", False)):
            self.redis.answers["GET"] = reply
            self.assertEqual(self.successResultOf(self.store.put_new("k", {}, 0)), free)
            self.assertEqual(self.asked(), ["GET", "novnc:s:k"])

    def test_get_many(self) -> None:
        self.redis.answers["MGET"] = b"*3\r\n$-1\r\n$3\r\n\n{}\r\n$2\r\n[]\r\n"
        missing, found, unusable = self.successResultOf(self.store.get_many(["a", "b", "c"]))
        self.assertEqual(self.asked(), ["MGET", "novnc:s:a", "novnc:s:b", "novnc:s:c"])
        self.assertEqual((missing, found), (None, {}))
        self.assertIsInstance(unusable, UnusableRecord)
        self.redis.heard.clear()
        self.assertEqual(self.successResultOf(self.store.get_many([])), [])
        self.assertEqual(self.redis.heard, [])

    def test_groups(self) -> None:
        self.redis.answers |= {"SADD": b":1\r\n", "SREM": b":1\r\n", "PEXPIRE": b":1\r\n", "SMEMBERS": bulk("b", "a")}
        for keeps in (True, False):
            store = RedisStore(self.link, keeps=keeps)
            self.redis.heard.clear()
            self.successResultOf(store.join("g", "m", 1.5))
            self.successResultOf(store.leave("g", "m"))
            self.assertEqual(self.successResultOf(store.members("g", 2)), ["a", "b"])
            commands = [["SADD", "novnc:g:g", "m"], ["SREM", "novnc:g:g", "m"], ["SMEMBERS", "novnc:g:g"]]
            if keeps:  # a user without the right does not try to set the expiry
                commands.insert(1, ["PEXPIRE", "novnc:g:g", "1500"])
                commands.append(["PEXPIRE", "novnc:g:g", "2000"])
            self.assertEqual(self.redis.heard, commands)

    def test_get(self) -> None:
        for reply, value in ((b"$-1\r\n", None), (b'$12\r\nhead\n{"a":1}\r\n', {"a": 1})):
            self.redis.answers["GET"] = reply
            self.assertEqual(self.successResultOf(self.store.get("k")), value)
        for reply in (b'$9\r\nhead\n{"":\r\n', b"$2\r\n[]\r\n", b":7\r\n", b"$4\r\n\n[1]\r\n"):
            self.redis.answers["GET"] = reply
            self.assertIn("not an object of our store", self.unavailable(self.store.get("k")))

    def test_extend_remove_and_indexed(self) -> None:
        self.assertTrue(self.successResultOf(self.store.extend("k", 2)))
        self.assertEqual(self.asked(), ["EVALSHA", EXTEND.sha, "1", "novnc:s:k", "2000"])
        self.assertEqual(self.successResultOf(self.store.remove("a", "b", "a")), 1)
        self.assertEqual(self.asked(), ["EVALSHA", REMOVE.sha, "2", "novnc:s:a", "novnc:s:b"])
        self.assertEqual(self.successResultOf(self.store.remove()), 0)
        self.redis.answers["EVALSHA"] = bulk("a", "b")
        self.assertEqual(self.successResultOf(self.store.indexed("i", 3)), ["a", "b"])
        self.assertEqual(self.asked(), ["EVALSHA", INDEXED.sha, "1", "novnc:i:i", "3"])

    def test_time(self) -> None:
        """The time is that of Redis, not of this machine."""
        self.redis.ahead = 3
        self.advance(6)
        self.assertAlmostEqual(self.successResultOf(self.store.now()), EPOCH + 9, places=2)

    def test_without_redis(self) -> None:
        self.redis.die()
        waiting = [self.store.get("k"), self.store.now(), self.store.put("k", {}, 1), self.store.indexed("i")]
        self.advance(6)
        for one in waiting:
            self.assertEqual(self.unavailable(one), "Redis cannot be reached")

    def test_invalid_keys(self) -> None:
        for work in (self.store.get("a b"), self.store.put("", {}, 1), self.store.remove("x\n")):
            self.failureResultOf(work, ValueError)
