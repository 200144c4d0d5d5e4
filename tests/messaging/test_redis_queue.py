"""Queues: turns, slots, pauses and failures; and the connections of a topic's queues."""

from typing import Any

from novnc_twisted.messaging.redis.queue import MAX_PENDING, Queue
from novnc_twisted.messaging.redis.serving import Serving
from tests.messaging.redis_case import LinkCase
from tests.support.fake_redis import bulk

NONE = b"*-1\r\n"


class QueueTests(LinkCase):
    """A queue with two lists."""

    def setUp(self) -> None:
        super().setUp()
        self.taken: list[tuple[str, Any]] = []
        self.queue = self.queue_of(slots=2)
        self.queue.start()

    def queue_of(self, **more: Any) -> Queue:
        link = self.made("calls", max_pending=MAX_PENDING)
        take = lambda key, message: self.taken.append((key, message))  # noqa: E731
        return Queue(self.clock, link, ["a", "b"], take, health=self.health, purpose="calls", **more)

    def stop(self) -> None:
        self.queue.pause(True)
        super().stop()

    def asked(self) -> list[str]:
        """Return the words of the last BLPOP."""
        return self.redis.named("BLPOP")[-1]

    def answer(self, data: bytes) -> None:
        [connection] = self.redis.blocked()
        connection.say(data)

    def test_turns(self) -> None:
        self.assertEqual(self.asked(), ["BLPOP", "a", "b", "2"])
        self.answer(bulk("a", "1"))
        self.assertEqual(self.asked(), ["BLPOP", "b", "a", "2"])
        self.answer(bulk("b", "2"))
        self.assertEqual(self.asked(), ["BLPOP", "a", "b", "2"])
        self.answer(NONE)
        self.assertEqual(self.taken, [("a", "1"), ("b", "2")])

    def test_slots(self) -> None:
        for _ in range(2):
            self.answer(bulk("a", "x"))
        self.assertEqual(self.asked(), ["BLPOP", "b", "0.05"])
        self.answer(NONE)
        self.queue.release("a")
        self.answer(NONE)
        self.assertEqual(sorted(self.asked()[1:3]), ["a", "b"])

    def test_a_message_that_is_too_long(self) -> None:
        """The connection is closed, the log names the queue, and the other list comes first next time."""
        self.answer(b"*2\r\n$1\r\na\r\n$5000000\r\n" + b"x" * (MAX_PENDING + 1))
        self.advance(1)
        self.assertEqual(self.asked(), ["BLPOP", "b", "a", "2"])
        [line] = self.redis_lines()
        self.assertIn("a message on the connection for calls was longer than 4 MiB", line)
        self.assertIn("proto-max-bulk-len 4mb", line)
        self.answer(bulk("b", "good"))
        self.assertEqual(self.taken, [("b", "good")])

    def test_one_line_for_many(self) -> None:
        for _ in range(10):
            self.answer(b"*2\r\n$1\r\na\r\n$5000000\r\n" + b"x" * (MAX_PENDING + 1))
            self.advance(1)
        self.assertEqual(len(self.redis_lines()), 1)

    def test_an_error(self) -> None:
        self.answer(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
        self.advance(2)
        self.assertEqual(self.asked(), ["BLPOP", "b", "a", "2"])
        self.assertIn("answered WRONGTYPE to a BLPOP for calls", self.redis_lines()[0])

    def test_a_full_redis(self) -> None:
        """The connection is kept."""
        self.answer(b"-OOM command not allowed\r\n")
        self.advance(2)
        self.assertEqual(len(self.redis.attempts), 1)
        self.assertEqual(len(self.redis_lines()), 1)
        self.assertIn("refuses commands: its memory is full", self.redis_lines()[0])

    def test_pause(self) -> None:
        self.queue.pause(True)
        self.answer(bulk("a", "asked for before"))
        self.assertEqual(self.redis.blocked(), [])
        self.advance(5)
        self.assertEqual(len(self.redis.named("BLPOP")), 1)
        self.queue.pause(False)
        self.assertEqual(len(self.redis.blocked()), 1)
        self.assertEqual(self.taken, [("a", "asked for before")])

    def test_frozen(self) -> None:
        """The connection is closed, and another one is made."""
        self.advance(3.9)
        self.assertEqual(len(self.redis.attempts), 1)
        self.advance(0.7)
        self.assertEqual(len(self.redis.attempts), 2)
        self.assertEqual(len(self.redis.blocked()), 1)


class ServingTests(LinkCase):
    """The queues that share a connection."""

    def lists(self, callers: Any) -> list[list[str]]:
        async def method() -> None:
            """A method that is never called."""

        purposes: list[str] = []

        def connect(purpose: str) -> Any:
            purposes.append(purpose)
            return self.made(purpose)

        methods = {"one": method, "two": method}
        serving = Serving(self.clock, connect, self.link, "t", methods, callers, self.health)
        serving.start()
        self.advance(0.1)
        self.purposes = purposes
        serving.pause(True)
        asked = [[key.removeprefix("novnc:q:t") for key in words[1:-1]] for words in self.redis.named("BLPOP")]
        self.assertEqual(
            sorted(key for keys in asked for key in keys), ["", ":api", ":compute", ":consoleauth", ":proxy"]
        )
        return sorted(asked)

    def test_an_exposed_role_has_its_own_connection(self) -> None:
        found = self.lists({"one": ("api", "proxy"), "two": ("proxy",)})
        self.assertEqual(found, [["", ":api", ":compute", ":consoleauth"], [":proxy"]])
        self.assertEqual(self.purposes, ["calls to t by role proxy", "calls to t"])

    def test_all_roles(self) -> None:
        self.lists({"one": ("api", "compute", "consoleauth", "proxy")})
        self.assertEqual(self.purposes, ["calls to t by role compute", "calls to t by role proxy", "calls to t"])

    def test_only_roles_that_are_not_exposed(self) -> None:
        """They share one connection: there may be thousands of compute hosts."""
        self.assertEqual(len(self.lists({"one": ("api",), "two": ("consoleauth",)})), 1)

    def test_one_for_all_where_roles_do_not_matter(self) -> None:
        self.assertEqual(len(self.lists(None)), 1)
        self.assertEqual(self.purposes, ["calls to t"])
