"""A hostile VNC server, in every phase of the login, before both fronts."""

from typing import Any

from novnc_twisted import errors
from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, Dialect
from tests.hostile.peer import meet
from tests.hostile.servers import ROWS, Row
from tests.support.ledger import Ledger

PHASES = tuple(dict.fromkeys(row.phase for row in ROWS))


class Servers(HostileCase):
    """Its viewer reads that the console can't be reached, and the log why."""

    async def phase(self, by: Dialect, rows: list[Row]) -> None:
        for row in rows:
            self.behind(by, rfb_deadline=row.cut or 10)
        await self.one(by, rows[0])  # what the first one makes, stays
        self.scripted.peers.clear()
        before = Ledger.now()
        for row in rows:
            try:
                await self.one(by, row)
            except self.failureException as wrong:
                raise self.failureException(f"{row.phase}, {row.name}: {wrong}") from wrong
        await self.left_nothing(before)

    async def one(self, by: Dialect, row: Row) -> None:
        self.behind(by, rfb_deadline=row.cut or 10)
        self.scripted.script = row.script
        viewer = await meet(self.front_port, takes_the_refusal(by))
        await viewer.gone
        self.told(by, viewer, errors.ConsoleUnreachable)
        record: Any = await self.record()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"))
        self.assertIn(row.detail, record["detail"])
        self.assertLess(len(record["detail"]), 400)


def _cells() -> None:
    for by in FRONTS:
        for phase in PHASES:
            rows = [row for row in ROWS if row.phase == phase]

            async def test(self: Servers, by: Dialect = by, rows: list[Row] = rows) -> None:
                await self.phase(by, rows)

            setattr(Servers, f"test_{by.name}_{phase}".replace(" ", "_").replace(".", "_"), test)


_cells()
