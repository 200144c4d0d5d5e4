"""Objects in the store with a damaged field: they are refused or left out, and no method fails with another error."""

import contextlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth.grants import Grants
from novnc_twisted.contract import EndedSession, HistoryQuery, SessionInfo
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.memory_store import MemoryStore
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase

HASH = hash_token(TOKEN)
JUNK: tuple[Any, ...] = ([], ["x"], {"x": 1}, "x", 7, True, None)


def damaged(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return copies of a stored object: in each, one field is missing or has another value."""
    copies = []
    for name in value:
        copies.append({other: value[other] for other in value if other != name})
        others = damaged(value[name]) if isinstance(value[name], dict) else []
        copies += [{**value, name: junk} for junk in (*JUNK, *others)]
    return copies


class Methods(ConsoleAuthCase):
    """Methods of consoleauth.  An exception other than a Refusal would be logged, which would fail the test."""

    async def setUp(self) -> None:
        await super().setUp()
        self.transport.store.may_lose_data = True  # so that tokens are restored
        (await self.host()).run()
        await self.serve(token_ttl=100)

    async def calls(self, admission: str) -> None:
        session = SessionInfo(
            id="1",
            console_type="novnc",
            proxy="p",
            phase="live",
            started_at=1.0,
            token_hash=HASH,
            admission=admission,
            client_address=VIEWER,
        )
        ended = EndedSession(session=session, ended_at=2.0, cause="ClientLeft").to_wire()
        for work in (
            self.check(),
            self.api.keep_token(TOKEN, VIEWER),
            self.delete_tokens(),
            self.transport.call("consoleauth", "report_closed", sessions=[ended]),
            self.api.history(HistoryQuery(since=1.0), limit=10),
        ):
            with contextlib.suppress(Refusal):
                await work

    async def test_each_field(self) -> None:
        store = self.transport.store
        for prefix in ("used:", "dropped:", "lease:", "token:", "mode:"):
            await self.token()
            info = await self.check()
            await self.api.set_mode(HASH, "view")
            self.clock.advance(99)
            await self.api.keep_token(TOKEN, VIEWER)
            self.clock.advance(2)
            if prefix in ("used:", "dropped:"):
                await store.remove(f"token:{HASH}")
                await self.delete_tokens()
            (key,) = [key for key in store._entries if key.startswith(prefix)]
            for copy in damaged(await store.get(key)):
                await store.put(key, copy, 1000.0)
                await self.calls(info.admission)
            self.clock.advance(10**7)

    async def test_the_history(self) -> None:
        for junk in JUNK:
            await self.transport.store.append("history", [{"reported_at": junk}], 1000.0)
        self.assertEqual((await self.api.history(HistoryQuery(since=1.0), limit=10))[0], [])


class StoredGrants(SynchronousTestCase):
    def test_each_field(self) -> None:
        store = MemoryStore(Clock())
        grants = Grants(store, None)  # type: ignore[arg-type]
        one, other = (
            SessionInfo(
                id=name,
                server_id=VM,
                console_type="novnc",
                mode="view",
                client_address=VIEWER,
                proxy="p",
                phase="live",
                started_at=1.0,
                right="view",
                token_hash=HASH,
            )
            for name in ("one", "other")
        )
        self.wait(grants.add(one, "giver", [one]))
        self.wait(grants.receivers_ended(["one"]))
        keys = ("control:one", f"control:{HASH}")
        for key, value in [(key, self.successResultOf(store.get(key))) for key in keys]:
            for copy in damaged(value):
                self.successResultOf(store.put(key, copy, 1000.0))
                self.wait(grants.of(["one", "other"]))
                self.wait(grants.give_back([other], {"other": "view", "giver": "control"}))
                self.wait(grants.receivers_ended(["one"]))

    def wait(self, work: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))
