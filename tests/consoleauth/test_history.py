"""The history of ended sessions: what is kept, for how long, and pages with filters."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

from twisted.internet.defer import fail

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth import history
from novnc_twisted.consoleauth.admissions import MOST, Admissions
from novnc_twisted.contract import ConnectInfo, EndedSession, HistoryQuery, SessionInfo
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging import memory_log
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase

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
        """Report sessions that were admitted before."""
        for each in ended:
            await self.admit(each.session)
        return await self.reported(*ended)

    async def admit(self, session: SessionInfo) -> None:
        info = ConnectInfo(
            host="one.example",
            port=5900,
            instance_uuid=session.server_id,
            name=session.server_name,
            user_id=session.user_id,
            project_id=session.project_id,
            console_type=session.console_type,
            owners=session.owners,
            admission=session.admission,
        )
        admissions = Admissions(self.transport.store)
        await admissions.add(session.token_hash, session.client_address, info, made_at=0.0, owner=None)

    async def reported(self, *ended: EndedSession) -> int:
        answer = await self.transport.call("consoleauth", "report_closed", sessions=[each.to_wire() for each in ended])
        return int(answer["kept"])

    def ended(self, number: int = 0, at: float = 100.0, **fields: Any) -> EndedSession:
        session = replace(SESSION, **{"id": f"{number:032}", "admission": f"{number:032}"} | fields)
        return EndedSession(session=session, ended_at=at, cause="ClientLeft", detail="d")

    async def found(self, limit: int = 1000, marker: str = "", **wanted: Any) -> list[int]:
        rows, self.following = await self.api.history(HistoryQuery(**wanted), limit=limit, marker=marker)
        return [int(row.session.id) for row in rows]


class HistoryTests(HistoryCase):
    async def test_a_session(self) -> None:
        """The entry has the reported fields except the id of the admission and the hash of the token."""
        self.assertEqual(await self.report(self.ended()), 1)
        ((row,), following) = await self.api.history(HistoryQuery(), limit=10)
        self.assertEqual(row, self.ended(admission="", token_hash=""))
        self.assertIsNone(following)

    async def test_a_token_that_is_checked_again_and_again(self) -> None:
        """At most MOST admissions of a token are kept, the newest; sessions with older ones are left out."""
        for number in range(MOST + 44):
            await self.admit(self.ended(number).session)
        kept = await self.transport.store.indexed(f"used:{SESSION.token_hash}")
        self.assertEqual(len(kept), MOST)
        self.assertEqual(await self.reported(self.ended(43)), 0)
        self.assertEqual(await self.reported(self.ended(MOST + 43)), 1)

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
        self.patch(history, "_SCANNED", 1_000)
        for at in range(0, 1_200, 200):
            await self.report(*(self.ended(number) for number in range(at, at + 200)))
        self.assertEqual(await self.found(user_id="nobody"), [])
        self.assertIsNotNone(self.following)
        self.assertEqual(await self.found(marker=self.following or "", user_id="nobody"), [])
        self.assertIsNone(self.following)

    async def test_what_is_old_is_not_read(self) -> None:
        """Reading stops at an old report.  If this entry was read, its false end time would match."""
        await self.report(self.ended(1, 1e15))
        self.clock.advance(10_000)
        now = self.clock.seconds()
        await self.report(self.ended(2, now))
        self.assertEqual(await self.found(since=now - 1_000), [2])

    async def test_a_proxy_hides_nothing_of_others(self) -> None:
        """False end times of its own sessions do not matter."""
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
        """Unreadable sessions are left out."""
        good = self.ended().to_wire()
        for number, rows in enumerate(([{}], [None], [{**good, "ended_at": "now"}], [{**good, "session": {}}])):
            await self.admit(self.ended(number).session)
            good = self.ended(number).to_wire()
            answer = await self.transport.call("consoleauth", "report_closed", sessions=[*rows, good])
            self.assertEqual(answer, {"kept": 1})
        for wrong in (None, {}, [good] * 201):
            await self.assertFailure(
                self.transport.call("consoleauth", "report_closed", sessions=wrong), ServiceUnavailable
            )

    async def test_sessions_that_were_never_admitted(self) -> None:
        """Somebody with a stolen proxy credential invents a session, or reports a true one with false names."""
        self.assertEqual(await self.reported(self.ended(1)), 0)
        self.assertEqual(await self.reported(self.ended(1, token_hash="")), 0)
        await self.host()
        self.hosts["one"].run(owner="red")
        await self.token()
        true = {"token_hash": hash_token(TOKEN), "client_address": VIEWER, "admission": (await self.check()).admission}
        self.assertEqual(await self.reported(self.ended(2, **true | {"admission": ""})), 0)
        self.assertEqual(await self.reported(self.ended(2, **true), self.ended(3, **true)), 1)
        self.assertEqual(await self.reported(self.ended(3, **true)), 0)  # once for each admission
        true["admission"] = (await self.check()).admission
        self.assertEqual(await self.reported(self.ended(4, **true | {"client_address": "192.0.2.9"})), 0)
        self.assertEqual(await self.reported(self.ended(4, **true | {"token_hash": "1b" * 32})), 0)
        false = {"server_id": OTHER_VM, "server_name": "x", "user_id": "boris", "project_id": "blue", "owners": None}
        self.assertEqual(await self.reported(self.ended(5, **true, **false)), 1)
        ((row, _), _) = await self.api.history(HistoryQuery(), limit=10)
        found = row.session
        self.assertEqual((found.server_id, found.server_name, found.user_id), (VM, "myserver20", "u"))
        self.assertEqual((found.project_id, found.owners), ("p", ("red", "name of red")))

    async def test_a_report_that_is_repeated(self) -> None:
        """A session that is reported twice is added once.  A second session of the same viewer is added too."""
        for number in (1, 2):
            await self.admit(self.ended(number).session)
        self.assertEqual(await self.reported(self.ended(1)), 1)
        self.assertEqual(await self.reported(self.ended(1)), 0)
        self.assertEqual(await self.found(), [1])
        self.assertEqual(await self.reported(self.ended(1), self.ended(2)), 1)
        self.assertEqual(await self.found(), [2, 1])

    async def test_a_report_that_is_interrupted(self) -> None:
        """At any step of the store, before or after its effect: the repeated report leaves each session once."""
        interrupted = True
        number, step = 0, 0
        while interrupted:
            for after in (False, True):
                ended = [self.ended(one, token_hash=f"{one:064}") for one in (number, number + 1)]
                number += 2
                for one in ended:
                    await self.admit(one.session)
                with self.interruption(step, after=after) as happened:
                    await self.try_to_report(*ended)
                interrupted = bool(happened)
                await self.try_to_report(*ended)
                self.assertEqual(sorted(await self.found()), list(range(number)), (step, after))
            step += 1
        self.assertGreater(step, 3)  # the admissions are read, the log is written, and the admissions are removed

    async def try_to_report(self, *ended: EndedSession) -> None:
        with contextlib.suppress(ServiceUnavailable):
            await self.reported(*ended)

    @contextlib.contextmanager
    def interruption(self, step: int, *, after: bool) -> Iterator[list[str]]:
        """Let the store fail from this step on; with ``after``, this step still has its effect."""
        store, happened, steps = self.transport.store, [], itertools.count()
        with contextlib.ExitStack() as stack:
            for name in ("put", "get", "get_many", "remove", "indexed", "append"):
                original = getattr(store, name)

                def replaced(*arguments: Any, original: Any = original, name: str = name) -> Any:
                    now = next(steps)
                    if now == step and after:
                        original(*arguments)
                    if now >= step:
                        happened.append(name)
                        return fail(ServiceUnavailable("the store is gone"))
                    return original(*arguments)

                stack.enter_context(mock.patch.object(store, name, replaced))
            yield happened

    async def test_bad_queries(self) -> None:
        for wrong in (
            {"limit": 0},
            {"limit": 1001},
            {"limit": True},
            {"limit": 1, "marker": "x"},
            {"limit": 1, "marker": 1},
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
