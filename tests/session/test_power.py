"""Power actions of viewers (xvp): the proxy offers and handles them, and the VNC server never receives them."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access.tokens import hash_token, link_id
from novnc_twisted.errors import InstanceNotRunning
from novnc_twisted.events.records import PowerAction
from novnc_twisted.rfb.power import XVP_INIT
from novnc_twisted.session import power_control
from tests.rfb.viewer_messages import encodings
from tests.session.harness import TOKEN, introduce
from tests.session.test_shield import CONNECT, KEY
from tests.session.test_view_only import UPDATE, ViewOnlyCase

XVP = -309
BELL = b"\2"


def ask(code: int, version: int = 1) -> bytes:
    return bytes((250, 0, version, code))


class PowerCase(ViewOnlyCase):
    def setUp(self) -> None:
        super().setUp()
        self.actions: list[tuple[str, str]] = []
        self.tokens: set[tuple[str, str]] = set()
        self.answer: Any = None
        self.seen: list[Any] = []

    async def change_power(self, token: str, console_type: str, address: str, action: str) -> str | None:
        self.actions.append((console_type, action))
        self.tokens.add((token, address))
        if isinstance(self.answer, Exception):
            raise self.answer
        return await self.answer if isinstance(self.answer, Deferred) else self.answer

    def arguments(self, **settings: Any) -> dict[str, Any]:
        return {
            "change_power": self.change_power,
            "settings": self.settings(**settings),
            "observer": lambda event: self.seen.append(event) if isinstance(event, PowerAction) else None,
        }

    async def start(self, **settings: Any) -> tuple[Any, Any]:
        self.novnc(**self.arguments(**settings))
        return await self.begin()

    async def shown(self, viewer: Any, server: Any) -> bytes:
        """Let the server send a bell; return what the viewer receives before it."""
        server.transport.write(BELL)
        shown = b""
        while not shown.endswith(BELL):
            shown += await viewer.read(1)
        return shown.removesuffix(BELL)

    async def test_on_novnc(self) -> None:
        viewer, server = await self.start()
        viewer.write(encodings(7, XVP, 0))
        heard = await self.until_update(viewer, server)
        self.assertEqual(heard, encodings(7, 0))
        self.assertTrue((await self.shown(viewer, server)).startswith(XVP_INIT))
        self.assertNotIn(XVP_INIT, await self.shown(viewer, server))
        codes = [ask(2), ask(3), ask(4), ask(0), ask(1), ask(5), ask(2, version=2)]
        self.assertEqual(await self.until_update(viewer, server, *codes, KEY), KEY)
        self.assertEqual(self.actions, [("novnc", "stop"), ("novnc", "reboot"), ("novnc", "reset")])
        self.assertEqual(self.tokens, {(TOKEN, "127.0.0.1")})
        self.assertEqual({event.cause for event in self.seen}, {""})
        self.assertEqual({event.instance_uuid for event in self.seen}, {self.session().info.instance_uuid})
        ids = {(event.session_id, event.link_id) for event in self.seen}
        self.assertEqual(ids, {(self.session().id, link_id(hash_token(TOKEN)))})

    async def test_on_xvp(self) -> None:
        self.info = {"console_type": "xvpvnc"}
        self.xvp(**self.arguments())
        viewer = await self.raw()
        viewer.write(CONNECT)
        await viewer.until(b"\r\n\r\n")
        await introduce(viewer)
        server = await self.live()
        await self.until_update(viewer, server, encodings(XVP, 0))
        self.assertTrue((await self.shown(viewer, server)).startswith(XVP_INIT))
        await self.until_update(viewer, server, ask(4))
        self.assertEqual(self.actions, [("xvpvnc", "reset")])

    async def test_a_viewer_that_does_not_ask(self) -> None:
        viewer, server = await self.start()
        await self.until_update(viewer, server, encodings(7, 0))
        self.assertNotIn(XVP_INIT, await self.shown(viewer, server))
        await self.until_update(viewer, server, ask(4))
        await self.until_update(viewer, server, encodings(XVP, 0), ask(4))  # too late for the offer
        self.assertEqual(self.actions, [])

    async def test_only_who_may_control(self) -> None:
        self.info = {"mode": "view"}
        viewer, server = await self.start()
        await self.until_update(viewer, server, encodings(XVP, 0))
        await self.shown(viewer, server)
        await self.until_update(viewer, server, ask(2))
        self.assertEqual(self.actions, [])
        self.session().change_mode("control")
        await self.until_update(viewer, server, ask(2))
        self.assertEqual(self.actions, [("novnc", "stop")])

    async def test_refusals_are_reported_and_the_session_goes_on(self) -> None:
        viewer, server = await self.start()
        await self.until_update(viewer, server, encodings(XVP, 0))
        await self.shown(viewer, server)
        for answer in ("state", InstanceNotRunning("it is off"), RuntimeError("unforeseen")):
            self.answer = answer
            await self.until_update(viewer, server, ask(2))
        causes = [event.cause for event in self.seen]
        self.assertEqual(causes, ["state", "InstanceNotRunning", "ServiceUnavailable"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_one_at_a_time(self) -> None:
        viewer, server = await self.start()
        await self.until_update(viewer, server, encodings(XVP, 0))
        await self.shown(viewer, server)
        self.answer = Deferred()
        await self.until_update(viewer, server, ask(2) * 100)
        self.assertEqual(self.actions, [("novnc", "stop")])
        self.answer.callback(None)
        await self.until_update(viewer, server, ask(4))
        self.assertEqual([action for _, action in self.actions], ["stop", "reset"])

    async def test_a_program_that_asks_all_the_time(self) -> None:
        """Requests above the limit reach neither the bus nor the audit trail."""
        viewer, server = await self.start()
        await self.until_update(viewer, server, encodings(XVP, 0))
        await self.shown(viewer, server)
        await self.until_update(viewer, server, ask(2) * 1000)
        self.assertEqual((len(self.actions), len(self.seen)), (power_control.MAX_ACTIONS,) * 2)
        self.patch(power_control, "PERIOD", 0.0)
        await self.until_update(viewer, server, ask(4))
        self.assertEqual(self.actions[-1], ("novnc", "reset"))

    async def test_a_session_without_a_shield_offers_nothing(self) -> None:
        viewer, server = await self.start(shield=False)
        viewer.write(encodings(XVP, 0))
        viewer.write(UPDATE)
        self.assertNotIn(XVP_INIT, await self.shown(viewer, server))
