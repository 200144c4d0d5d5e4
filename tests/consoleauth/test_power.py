"""Power actions that a viewer asks for: the token is checked as for a console, and must permit control."""

from typing import Any

from novnc_twisted.access import hash_token
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ConsoleForbidden, InvalidToken, Revoked, ServiceUnavailable
from tests.consoleauth.harness import TOKEN, VIEWER, ConsoleAuthCase


class PowerTests(ConsoleAuthCase):
    async def start(self, **policy: Any) -> None:
        await self.serve(**policy)
        self.vm = await self.host()
        self.vm.run()

    async def act(self, action: str = "reset", token: str = TOKEN, address: str = VIEWER) -> str | None:
        return await self.api.change_power(token, "novnc", address, action)

    def changed(self) -> list[str]:
        return [asked for asked in self.vm.asked if asked.startswith("change_power")]

    async def test_each_action(self) -> None:
        await self.start()
        await self.token()
        actions = ("stop", "reboot", "reset", "pause", "unpause", "suspend", "resume")
        for action in actions:
            self.assertIsNone(await self.act(action))
        self.assertEqual(self.changed(), [f"change_power {action}" for action in actions])
        self.vm.conflict = "state"
        self.assertEqual(await self.act(), "state")

    async def test_who_may_not(self) -> None:
        await self.start(bind_address=True)
        await self.token(mode="view")
        await self.check()
        await self.refused(ConsoleForbidden, self.act())
        await self.refused(ConsoleForbidden, self.act(address="192.0.2.99"))
        await self.refused(InvalidToken, self.act(token="unknown"))
        self.assertEqual(self.changed(), [])

    async def test_rights_that_changed(self) -> None:
        await self.start()
        await self.token()
        await self.api.set_mode(hash_token(TOKEN), "view")
        await self.refused(ConsoleForbidden, self.act())
        await self.api.set_mode(hash_token(TOKEN), "control")
        await self.act()
        await self.api.revoke(SessionFilter(token_hash=hash_token(TOKEN)))
        await self.refused(Revoked, self.act())
        self.assertEqual(self.changed(), ["change_power reset"])

    async def test_other_actions(self) -> None:
        await self.start()
        await self.token()
        for action in ("start", "", "destroy"):
            await self.refused(ServiceUnavailable, self.act(action))
        self.assertEqual(self.changed(), [])

    async def test_an_answer_that_cannot_be_used(self) -> None:
        await self.start()
        await self.token()
        self.vm.conflict = "because"
        await self.refused(ServiceUnavailable, self.act())
