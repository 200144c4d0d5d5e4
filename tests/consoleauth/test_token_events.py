"""The events of tokens."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.tokens import hash_token, link_id
from novnc_twisted.consoleauth.token_events import reported
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import ConsoleForbidden, InstanceNotRunning, InvalidToken
from novnc_twisted.events import Event, TokenMade, TokenRefused, TokenRevoked, TokenUsed
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase

ABOUT: dict[str, str] = {
    "console_type": "novnc",
    "user_id": "u",
    "project_id": "p",
    "instance_uuid": VM,
    "instance_name": "myserver20",
}
LINK = link_id(hash_token(TOKEN))


class ReportedTests(SynchronousTestCase):
    """An authority other than consoleauth, such as nova."""

    def setUp(self) -> None:
        self.events: list[Event] = []

    async def check(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        if token != TOKEN:
            raise InvalidToken("the token is unknown")
        return ConnectInfo(host="h", port=5900, name="myserver20", instance_uuid=VM, user_id="u", project_id="p")

    def test_used_and_refused(self) -> None:
        check = reported(self.check, self.events.append)
        info = self.successResultOf(Deferred.fromCoroutine(check(TOKEN, "novnc", VIEWER)))  # type: ignore[arg-type]
        self.assertEqual(info.name, "myserver20")
        refused = Deferred.fromCoroutine(check("guessed", "novnc", VIEWER))  # type: ignore[arg-type]
        self.failureResultOf(refused, InvalidToken)
        about = {"console_type": "novnc", "address": VIEWER}
        link = link_id(hash_token("guessed"))
        expected = [
            TokenUsed(**ABOUT, link_id=LINK, address=VIEWER),
            TokenRefused(**about, link_id=link, cause="InvalidToken", detail="the token is unknown"),
        ]
        self.assertEqual(self.events, expected)


class EventTests(ConsoleAuthCase):
    """Each event is reported once, and nothing else."""

    async def setUp(self) -> None:
        await super().setUp()
        self.vm = await self.host()
        self.vm.run()
        self.events: list[Event] = []

    async def begin(self, **policy: Any) -> None:
        await self.serve(observer=self.events.append, **policy)

    def taken(self) -> list[Event]:
        """Return the events since the last call."""
        events, self.events[:] = list(self.events), []
        return events

    async def test_made_and_used(self) -> None:
        await self.begin()
        expires_at = await self.token(client_address="198.51.100.1")
        self.assertEqual(
            self.taken(), [TokenMade(**ABOUT, link_id=LINK, address="198.51.100.1", expires_at=expires_at)]
        )
        await self.token()  # a repeated call makes no other token
        self.assertEqual(self.taken(), [])
        await self.check()
        self.assertEqual(self.taken(), [TokenUsed(**ABOUT, link_id=LINK, address=VIEWER, place_seconds=0.0)])

    async def test_the_time_to_find_the_console(self) -> None:
        await self.begin()
        await self.token()
        self.taken()

        async def slow(_: str) -> None:
            self.clock.advance(0.25)

        self.vm._answer = slow  # type: ignore[method-assign]
        await self.check()
        (used,) = self.taken()
        assert isinstance(used, TokenUsed)
        self.assertEqual(used.place_seconds, 0.25)

    async def test_refused(self) -> None:
        await self.begin()
        await self.refused(InvalidToken, self.check("guessed"))
        link = link_id(hash_token("guessed"))
        refused = TokenRefused(address=VIEWER, link_id=link, cause="InvalidToken", detail="the token is unknown")
        self.assertEqual(self.taken(), [refused])
        await self.token()
        self.taken()
        await self.refused(ConsoleForbidden, self.check(console_type="xvpvnc"))
        self.vm.refusals[VM] = InstanceNotRunning("shutoff")
        await self.refused(InstanceNotRunning, self.check())
        self.clock.advance(600)
        await self.refused(InvalidToken, self.check())
        found = [event for event in self.taken() if isinstance(event, TokenRefused)]
        self.assertEqual([event.cause for event in found], ["ConsoleForbidden", "InstanceNotRunning", "InvalidToken"])
        for event in found:
            self.assertEqual({name: getattr(event, name) for name in ABOUT}, ABOUT)

    async def test_dropped(self) -> None:
        await self.begin(max_tokens_per_server=2, max_tokens_per_user=3)
        self.vm.run(OTHER_VM, port=5901)
        for name in ("a", "b", "c"):
            await self.token(name)
        await self.token("d", instance_uuid=OTHER_VM)
        await self.token("e", instance_uuid=OTHER_VM)
        self.assertEqual(await self.delete_tokens(OTHER_VM), 2)
        self.assertEqual(await self.delete_tokens(OTHER_VM), 0)
        found = [event for event in self.taken() if isinstance(event, TokenRevoked)]
        self.assertEqual(
            found,
            [
                TokenRevoked(instance_uuid=VM, tokens=1, reason="max_tokens_per_server"),
                TokenRevoked(user_id="u", tokens=1, reason="max_tokens_per_user"),
                TokenRevoked(instance_uuid=OTHER_VM, tokens=2, reason="deleted by the API"),
            ],
        )

    async def test_revoked(self) -> None:
        """The event contains the selector."""
        await self.begin()
        cases = (({"token_hash": hash_token(TOKEN)}, ("", LINK)), ({"project_id": "p"}, ("p", "")))
        for selected, expected in cases:
            await self.token(TOKEN if "token_hash" in selected else "another")
            self.taken()
            await self.transport.call("consoleauth", "revoke", **selected)
            [event] = self.taken()
            assert isinstance(event, TokenRevoked)
            self.assertEqual((event.project_id, event.link_id, event.tokens), (*expected, 1))

    async def test_no_event_names_a_token(self) -> None:
        await self.begin(max_tokens_per_server=1)
        await self.token()
        await self.check()
        await self.token("another")
        await self.refused(InvalidToken, self.check())
        self.assertNotIn(TOKEN, repr(self.events))
        self.assertNotIn(hash_token(TOKEN), repr(self.events))
