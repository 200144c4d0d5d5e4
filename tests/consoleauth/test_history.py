"""The history of ended sessions: what is kept, for how long, and pages with filters."""

from dataclasses import replace
from typing import Any

from novnc_twisted.contract import EndedSession, HistoryQuery, SessionInfo
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging import memory_log
from tests.consoleauth.harness import OTHER_VM, VM, ConsoleAuthCase

SESSION = SessionInfo(
    id="0" * 32,
    server_id=VM,
    server_name="myserver20",
    user_id="alice",
    project_id="red",
    owners=("red-id", "red"),
    console_type="novnc",
    client_address="192.0.2.7",
    proxy="edge1",
    phase="live",
    started_at=1.0,
    token_hash="0a" * 32,
)


class HistoryCase(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()

    async def report(self, *ended: EndedSession) -> int:
        answer = await self.transport.call("consoleauth", "report_closed", sessions=[each.to_wire() for each in ended])
        return int(answer["kept"])

    def ended(self, number: int = 0, at: float = 100.0, **fields: Any) -> EndedSession:
        session = replace(SESSION, id=f"{number:032}", **fields)
        return EndedSession(session=session, ended_at=at, cause="ClientLeft", detail="d")

    async def found(self, limit: int = 1000, marker: str = "", **wanted: Any) -> list[int]:
        rows, self.following = await self.api.history(HistoryQuery(**wanted), limit=limit, marker=marker)
        return [int(row.session.id) for row in rows]


class HistoryTests(HistoryCase):
    async def test_a_session(self) -> None:
        """As it was reported, without the hash of its token."""
        self.assertEqual(await self.report(self.ended()), 1)
        ((row,), following) = await self.api.history(HistoryQuery(), limit=10)
        self.assertEqual(row, self.ended(token_hash=""))
        self.assertIsNone(following)

    async def test_filters(self) -> None:
        await self.report(
            self.ended(1, 100),
            self.ended(2, 200, user_id="boris", project_id="blue", owners=None),
            self.ended(3, 300, server_id=OTHER_VM, proxy="edge2"),
        )
        for wanted, found in (
            ({}, [3, 2, 1]),
            ({"server_id": VM}, [2, 1]),
            ({"user_id": "alice"}, [3, 1]),
            ({"project_id": "blue"}, [2]),
            ({"owner": "red"}, [3, 1]),
            ({"proxy": "edge2"}, [3]),
            ({"since": 200.0}, [3, 2]),
            ({"until": 200.0}, [2, 1]),
            ({"since": 150.0, "until": 250.0}, [2]),
        ):
            self.assertEqual(await self.found(**wanted), found, wanted)

    async def test_pages(self) -> None:
        for at in range(0, 1200, 200):
            await self.report(*(self.ended(number, number, user_id=f"u{number % 2}") for number in range(at, at + 200)))
        for limit in (1, 7, 600):
            pages, marker = [], ""
            while True:
                page = await self.found(limit, marker, user_id="u0", until=100.0)
                self.assertLessEqual(len(page), limit)
                pages += page
                if self.following is None:
                    break
                marker = self.following
            self.assertEqual(pages, list(range(100, -1, -2)))

    async def test_a_page_ends_where_too_much_was_read(self) -> None:
        """A filter that matches nothing must not keep the service busy."""
        self.patch(memory_log, "MAX_ENTRIES", 20_000)
        for at in range(0, 11_000, 200):
            await self.report(*(self.ended(number) for number in range(at, at + 200)))
        self.assertEqual(await self.found(user_id="nobody"), [])
        self.assertIsNotNone(self.following)
        self.assertEqual(await self.found(marker=self.following or "", user_id="nobody"), [])
        self.assertIsNone(self.following)

    async def test_what_is_old_is_not_read(self) -> None:
        await self.report(self.ended(1, 100))
        self.clock.advance(10_000)
        await self.report(self.ended(2, 10_000))
        self.assertEqual(await self.found(since=9_000.0), [2])

    async def test_a_proxy_hides_nothing_of_others(self) -> None:
        """Whatever it says about the ends of its own sessions."""
        await self.report(self.ended(1, 10_000))
        await self.report(self.ended(2, -1e9), self.ended(3, 1e15))
        self.assertEqual(await self.found(since=9_000.0), [3, 1])

    async def test_retention(self) -> None:
        await self.report(self.ended(1))
        self.clock.advance(604_799)
        self.assertEqual(await self.found(), [1])
        self.clock.advance(1)
        self.assertEqual(await self.found(), [])

    async def test_the_oldest_go_first(self) -> None:
        self.patch(memory_log, "MAX_ENTRIES", 3)
        await self.report(*(self.ended(number) for number in range(5)))
        self.assertEqual(await self.found(), [4, 3, 2])

    async def test_bad_reports(self) -> None:
        """What cannot be read is left out; a thief of a proxy's credential can add rows, and do nothing else."""
        good = self.ended().to_wire()
        for rows in ([{}], [None], [{**good, "ended_at": "now"}], [{**good, "session": {}}]):
            answer = await self.transport.call("consoleauth", "report_closed", sessions=[*rows, good])
            self.assertEqual(answer, {"kept": 1})
        for wrong in (None, {}, [good] * 201):
            await self.assertFailure(
                self.transport.call("consoleauth", "report_closed", sessions=wrong), ServiceUnavailable
            )

    async def test_bad_queries(self) -> None:
        for wrong in (
            {"limit": 0},
            {"limit": 1001},
            {"limit": True},
            {"limit": 1, "marker": "x"},
            {"limit": 1, "since": "x"},
            {"limit": 1, "other": 1},
        ):
            await self.assertFailure(self.transport.call("consoleauth", "get_history", **wrong), ServiceUnavailable)

    async def test_bad_answers(self) -> None:
        for answer in ([], {}, {"sessions": [{}], "next": None}, {"sessions": [], "next": 5}):
            self.patch(self.api, "_ask", lambda *_, answer=answer, **__: self._answer(answer))
            await self.refused(ServiceUnavailable, self.api.history(HistoryQuery(), limit=1))

    async def _answer(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise ServiceUnavailable("not an object")
        return answer


class OffTests(HistoryCase):
    async def test_nothing_is_kept(self) -> None:
        await self.transport.stop()
        await self.transport.start()
        await self.serve(history_retention=0)
        self.assertEqual(await self.report(self.ended()), 1)
        self.assertEqual(await self.found(), [])
