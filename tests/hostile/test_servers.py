"""Hostile VNC servers in every phase of the log-in, behind both proxies."""

from typing import Any

from novnc_twisted import errors
from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, NOVNC, XVPVNC, Dialect
from tests.hostile.servers import ROWS, Row
from tests.support.ledger import Ledger
from tests.support.scripted import meet


class Servers(HostileCase):
    """The viewer is refused with ConsoleUnreachable, and the log contains the cause."""

    async def phase(self, by: Dialect, phase: str) -> None:
        rows = [row for row in ROWS if row.phase == phase]
        for row in rows:
            self.behind(by, rfb_deadline=row.cut or 10)
        await self.one(by, rows[0])  # the first session creates objects that stay
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
        self.assert_refused(by, viewer, errors.ConsoleUnreachable)
        record: Any = await self.record()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"))
        self.assertIn(row.detail, record["detail"])
        self.assertLess(len(record["detail"]), 400)

    async def test_novnc_version(self) -> None:
        await self.phase(NOVNC, "version")

    async def test_novnc_types(self) -> None:
        await self.phase(NOVNC, "types")

    async def test_novnc_result(self) -> None:
        await self.phase(NOVNC, "result")

    async def test_novnc_init(self) -> None:
        await self.phase(NOVNC, "init")

    async def test_novnc_vnc_types(self) -> None:
        await self.phase(NOVNC, "vnc types")

    async def test_novnc_challenge(self) -> None:
        await self.phase(NOVNC, "challenge")

    async def test_novnc_vencrypt_types(self) -> None:
        await self.phase(NOVNC, "vencrypt types")

    async def test_novnc_vencrypt_version(self) -> None:
        await self.phase(NOVNC, "vencrypt version")

    async def test_novnc_vencrypt_subtypes(self) -> None:
        await self.phase(NOVNC, "vencrypt subtypes")

    async def test_novnc_vencrypt_answer(self) -> None:
        await self.phase(NOVNC, "vencrypt answer")

    async def test_novnc_version_3_3(self) -> None:
        await self.phase(NOVNC, "version 3.3")

    async def test_novnc_type_3_3(self) -> None:
        await self.phase(NOVNC, "type 3.3")

    async def test_novnc_tls(self) -> None:
        await self.phase(NOVNC, "tls")

    async def test_xvp_version(self) -> None:
        await self.phase(XVPVNC, "version")

    async def test_xvp_types(self) -> None:
        await self.phase(XVPVNC, "types")

    async def test_xvp_result(self) -> None:
        await self.phase(XVPVNC, "result")

    async def test_xvp_init(self) -> None:
        await self.phase(XVPVNC, "init")

    async def test_xvp_vnc_types(self) -> None:
        await self.phase(XVPVNC, "vnc types")

    async def test_xvp_challenge(self) -> None:
        await self.phase(XVPVNC, "challenge")

    async def test_xvp_vencrypt_types(self) -> None:
        await self.phase(XVPVNC, "vencrypt types")

    async def test_xvp_vencrypt_version(self) -> None:
        await self.phase(XVPVNC, "vencrypt version")

    async def test_xvp_vencrypt_subtypes(self) -> None:
        await self.phase(XVPVNC, "vencrypt subtypes")

    async def test_xvp_vencrypt_answer(self) -> None:
        await self.phase(XVPVNC, "vencrypt answer")

    async def test_xvp_version_3_3(self) -> None:
        await self.phase(XVPVNC, "version 3.3")

    async def test_xvp_type_3_3(self) -> None:
        await self.phase(XVPVNC, "type 3.3")

    async def test_xvp_tls(self) -> None:
        await self.phase(XVPVNC, "tls")

    def test_every_phase_has_its_tests(self) -> None:
        wanted = {f"test_{by.name}_{row.phase}".replace(" ", "_").replace(".", "_") for by in FRONTS for row in ROWS}
        self.assertEqual({name for name in dir(self) if name.startswith(("test_novnc_", "test_xvp_"))}, wanted)
