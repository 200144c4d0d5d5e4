"""Sessions of many workers, merged into pages; silent and dead workers, and invalid replies."""

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY, SESSIONS_BINARY
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.session.rpcapi import DEADLINE, SessionsAPI
from tests.session.workers import Worker, worker

ALL = SessionFilter()


class SessionsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport(self.clock)
        self.transport.start()
        self.api = SessionsAPI(self.transport)

    def worker(self, host: str = "edge1", *ids: str, **values: Any) -> Worker:
        made = self.successResultOf(Deferred.fromCoroutine(worker(self.transport, host)))
        for each in ids:
            made.add(each, **values)
        return made

    def page(self, wanted: SessionFilter = ALL, **more: Any) -> tuple[list[str], bool]:
        found, follows = self.successResultOf(Deferred.fromCoroutine(self.api.page(wanted, **more)))
        return [one.id for one in found], follows


class PageTests(SessionsCase):
    """Pages of the sessions of all workers."""

    def test_nobody(self) -> None:
        self.assertEqual(self.page(limit=10), ([], False))
        self.worker()
        self.assertEqual(self.page(limit=10), ([], False))

    def test_all_pages_together_are_all_sessions(self) -> None:
        """For any distribution over the workers."""
        random = Random(20)
        for spread in ((100, 100, 100), (300, 0, 0), (1, 150, 149), (30, 0, 0), (3, 2, 1)):
            self.setUp()
            expected = []
            for count in spread:
                ids = [random.randbytes(16).hex() for _ in range(count)]
                self.worker("edge1", *ids)
                expected += ids
            for limit in (7, 100, 1000) if sum(spread) > 50 else (1, 2, 7):
                pages, marker, more = [], "", True
                while more:
                    page, more = self.page(limit=limit, marker=marker)
                    self.assertLessEqual(len(page), limit)
                    pages += page
                    marker = page[-1]
                self.assertEqual(pages, sorted(expected), (spread, limit))

    def test_not_everything_is_read(self) -> None:
        random = Random(21)
        workers = [self.worker("edge1", *(random.randbytes(16).hex() for _ in range(500))) for _ in range(20)]
        page, more = self.page(limit=1000)
        self.assertEqual((len(page), more), (1000, True))
        self.assertLess(sum(sum(one.asked) for one in workers), 2000)

    def test_low_ids_of_one_worker(self) -> None:
        """Only the worker that has the whole page is asked for more sessions."""
        first = self.worker("edge1", *(f"0{number:03}" for number in range(100)))
        second = self.worker("edge1", *(f"1{number:03}" for number in range(100)))
        self.assertEqual(self.page(limit=50), ([f"0{number:03}" for number in range(50)], True))
        self.assertEqual((len(first.asked), len(second.asked)), (2, 1))

    def test_filters(self) -> None:
        self.worker("edge1", "1", "2", user_id="alice")
        self.worker("edge2", "3", "4", user_id="boris")
        self.assertEqual(self.page(SessionFilter(user_id="boris"), limit=9), (["3", "4"], False))
        self.assertEqual(self.page(limit=9, proxy="edge1"), (["1", "2"], False))
        self.assertEqual(self.page(limit=9, proxy="edge"), ([], False))

    def test_the_proxy_is_the_one_that_was_asked(self) -> None:
        self.worker("edge1", "1")
        ((session,), _) = self.successResultOf(Deferred.fromCoroutine(self.api.page(ALL, limit=1)))
        self.assertEqual(session.proxy, "edge1")


class SilentTests(SessionsCase):
    """A worker that does not answer is never treated as one without sessions while it is listed."""

    def test_it_is_named(self) -> None:
        self.worker("edge1", "1")
        silent = self.worker("edge2", "2")
        silent.hangs = True
        for work in (self.api.page(ALL, limit=9), self.api.find(SessionFilter(session_id="2"))):
            asked = Deferred.fromCoroutine(work)
            self.assertNoResult(asked)
            self.clock.advance(DEADLINE)
            self.assertEqual(
                self.failureResultOf(asked, ServiceUnavailable).value.detail,
                f"no valid answer from {silent.manager.topic}",
            )

    def test_one_that_died(self) -> None:
        """A worker that is no longer listed at the deadline has no sessions left."""
        self.worker("edge1", "1")
        dead = self.worker("edge2", "2")
        dead.hangs = True
        asked = Deferred.fromCoroutine(self.api.page(ALL, limit=9))
        self.successResultOf(Deferred.fromCoroutine(dead.manager.stop()))
        self.clock.advance(DEADLINE)
        found, more = self.successResultOf(asked)
        self.assertEqual(([one.id for one in found], more), (["1"], False))

    def test_it_is_not_waited_for_where_another_has_the_session(self) -> None:
        self.worker("edge1", "1")
        self.worker("edge2").hangs = True
        found = self.successResultOf(Deferred.fromCoroutine(self.api.find(SessionFilter(session_id="1"))))
        self.assertEqual(found.id, "1")

    def test_no_such_session(self) -> None:
        self.worker("edge1", "1")
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.api.find(SessionFilter(session_id="2")))))


class LyingTests(SessionsCase):
    """Invalid replies of a worker cause a clear refusal, and no endless loop."""

    def test_answers(self) -> None:
        answers: list[Any] = [
            {"sessions": [{"id": "2"}, {"id": "1"}], "more": True},
            {"sessions": [{"id": "1"}, {"id": "1"}], "more": True},
            {"sessions": [{}], "more": True},
            {"sessions": [None], "more": True},
            {"sessions": [{"id": "5", "phase": 7}], "more": False},
        ]

        async def lie(**_: Any) -> Any:
            return answers[0]

        topic = PROXY.of("h", "liar")
        self.successResultOf(self.transport.serve(topic, {"get_sessions": lie}, binary=SESSIONS_BINARY, host="h"))
        while answers:
            failure = self.failureResultOf(Deferred.fromCoroutine(self.api.page(ALL, limit=5)), ServiceUnavailable)
            self.assertIn(topic, failure.value.detail)
            answers.pop(0)

    def test_no_list_of_sessions(self) -> None:
        """The sessions of this worker are unknown."""
        for answer in (None, [], {}, {"sessions": 5, "more": True}):

            async def lie(answer: Any = answer, **_: Any) -> Any:
                return answer

            self.setUp()
            topic = PROXY.of("h", "liar")
            self.transport.serve(topic, {"get_sessions": lie}, binary=SESSIONS_BINARY, host="h")
            for work in (self.api.page(ALL, limit=5), self.api.find(SessionFilter(session_id="1"))):
                refusal = self.failureResultOf(Deferred.fromCoroutine(work), ServiceUnavailable).value
                self.assertEqual(refusal.detail, f"no valid answer from {topic}")

    def test_more_sessions_that_never_come(self) -> None:
        async def lie(**_: Any) -> Any:
            return {"sessions": [], "more": True}

        self.transport.serve(PROXY.of("h", "liar"), {"get_sessions": lie}, binary=SESSIONS_BINARY, host="h")
        self.assertEqual(self.page(limit=5), ([], False))
