"""Power actions on the channel of the page: which ones are offered, to whom, and the answers."""

from dataclasses import replace
from typing import Any

from novnc_twisted.contract import Person, power
from novnc_twisted.errors import ConsoleForbidden, Refusal, ServiceUnavailable
from novnc_twisted.events.records import PowerAction
from novnc_twisted.rfb.power import XVP_INIT
from novnc_twisted.session import channel, power_control
from tests.rfb.test_shield import encodings
from tests.session.test_channel import ChannelCase
from tests.session.test_power import BELL, XVP, ask


class PowerOnTheChannel(ChannelCase):
    def setUp(self) -> None:
        super().setUp()
        self.begun: list[str] = []
        self.outcome: str | Refusal | None = None
        self.power = self.change_power
        self.patch(power_control, "PERIOD", 0.0)

    async def change_power(self, token: str, console_type: str, address: str, action: str) -> str | None:
        self.begun.append(action)
        if isinstance(self.outcome, Refusal):
            raise self.outcome
        return self.outcome

    async def act(self, action: Any) -> str:
        """Request an action; return ``done``, or the reason of the refusal."""
        answer = await self.answer({"type": "power", "action": action})
        self.assertEqual(answer["of"], "power")
        return str(answer.get("reason", answer["type"]))

    async def offered(self) -> tuple[bool, list[str]]:
        """Return the right to power actions, and the actions for the server's state."""
        return self.rights["power"], (await self.answer({"type": "state"}))["actions"]

    async def test_what_fits_the_state(self) -> None:
        states = {"running": ["stop", "reboot", "reset", "pause", "suspend"]}
        states |= {"paused": ["unpause", "reset"], "suspended": ["resume"], "crashed": ["reset"], "nostate": []}
        self.patch(channel, "STATE_REPEATED", 0.0)
        await self.page()
        session = self.session()
        for state, actions in states.items():

            async def find_again(token: str, client_address: str, info: Any, state: str = state) -> Any:
                return replace(info, state=state)

            self.patch(session, "services", replace(session.services, find_again=find_again))
            answer = await self.answer({"type": "state"})
            self.assertEqual(answer, {"type": "server", "state": state, "actions": actions})
        self.assertEqual(set().union(*states.values()), set(power.VIEWERS_ACTIONS))

    async def test_a_server_that_is_paused_from_the_beginning(self) -> None:
        await self.page(state="paused")
        expected = {"type": "server", "state": "paused", "actions": ["unpause", "reset"]}
        self.assertEqual(await self.message(), expected)

    async def test_each_action(self) -> None:
        seen: list[Any] = []
        await self.page()
        session = self.session()
        self.patch(session, "services", replace(session.services, observer=seen.append))
        for action in power.VIEWERS_ACTIONS:
            self.assertEqual(await self.act(action), "done")
        self.assertEqual(self.begun, list(power.VIEWERS_ACTIONS))
        self.assertNotIn("start", self.begun)
        self.assertEqual([event.action for event in seen if isinstance(event, PowerAction)], self.begun)

    async def test_why_not(self) -> None:
        await self.page()
        for self.outcome, reason in (
            ("state", "state"),
            ("task", "state"),
            ("transient", "state"),
            (ConsoleForbidden(), "forbidden"),
            (ServiceUnavailable(), "unavailable"),
        ):
            self.assertEqual(await self.act("reset"), reason)
        for action in ("start", "", None, 5, "destroy"):
            self.assertEqual(await self.act(action), "unknown")
        self.assertEqual(self.begun, ["reset"] * 5)

    async def test_who_only_watches(self) -> None:
        """No power for a view-only link, also after control was handed over to it."""
        await self.page(mode="view")
        self.assertFalse(self.rights["power"])
        self.assertEqual(await self.act("reset"), "forbidden")
        self.show(Person(id=self.own_id, mode="control"))
        rights = await self.message()
        self.assertEqual((rights["mode"], rights["power"]), ("control", False))
        await self.message()
        self.assertEqual(await self.act("reset"), "forbidden")
        self.assertEqual(self.begun, [])

    async def test_a_right_that_changes(self) -> None:
        await self.page()
        self.session().change_mode("view")
        self.assertFalse((await self.message())["power"])
        self.assertEqual(await self.act("stop"), "forbidden")
        self.session().change_mode("control")
        while not (rights := await self.message())["power"]:
            pass
        self.assertEqual(rights["type"], "rights")
        self.assertEqual(self.begun, [])

    async def test_a_guest(self) -> None:
        """No power for a shared link, even with control: neither on the channel nor by xvp."""
        viewer, server = await self.page(shared_from="0" * 64)
        self.assertEqual(self.rights["mode"], "control")
        self.assertEqual(await self.offered(), (False, []))
        self.assertEqual(await self.act("reset"), "forbidden")
        viewer.write(encodings(XVP, 0))
        server.transport.write(BELL)
        self.assertEqual(await viewer.read(1), BELL)
        await self.until_update(viewer, server, ask(4))
        self.assertEqual(self.begun, [])
        self.assertNotIn(XVP_INIT, viewer.stream)

    async def test_an_operator_who_offers_no_power(self) -> None:
        self.power = None
        await self.page()
        self.assertEqual(await self.offered(), (False, []))
        self.assertEqual(await self.act("stop"), "forbidden")
