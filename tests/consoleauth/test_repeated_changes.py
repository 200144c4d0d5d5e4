"""Changes of sessions that a proxy has missed: they are repeated, and undo nothing that has happened since."""

from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth.live_sessions import DEADLINE
from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ServiceUnavailable
from tests.consoleauth.harness import TOKEN, VIEWER
from tests.consoleauth.test_revocations import Proxy, RevocationCase


class RepeatedCase(RevocationCase):
    async def begin(self) -> Proxy:
        await self.serve()
        return await self.proxy()

    async def missed(self, proxy: Proxy, change: Any) -> None:
        """Let a proxy not answer to a change; afterwards, it answers again."""
        proxy.hangs = True
        asked = Deferred.fromCoroutine(change)
        self.clock.advance(DEADLINE)
        self.assertEqual((await asked).unanswered, (PROXY.of("h", "a"),))
        proxy.hangs = False

    def repeat(self) -> None:
        for _ in range(2):
            self.clock.advance(3)


class Modes(RepeatedCase):
    async def test_changed_since(self) -> None:
        """The repetition has the newest mode."""
        await self.newest_mode(await self.begin())

    async def test_changed_since_by_another_consoleauth(self) -> None:
        proxy = await self.begin()
        await self.serve()  # from now on, the calls go to the two in turns
        await self.newest_mode(proxy)

    async def newest_mode(self, proxy: Proxy) -> None:
        await self.token()
        guest = await PeopleAPI(self.transport, PROXY.of("h", "a")).share(TOKEN, VIEWER, "control", 300)
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "control"))
        await self.api.set_mode(hash_token(TOKEN), "view")
        self.repeat()
        links = [link_id(hash_token(token)) for token in (TOKEN, guest.token)]
        changes = [("set_mode", {"link_id": link, "mode": "view"}) for link in links]
        self.assertEqual(proxy.calls, changes * 2)

    async def test_the_store_is_down(self) -> None:
        proxy = await self.begin()
        await self.token()
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "view"))
        down = self.patch(self.transport.store, "get", lambda _: fail(ServiceUnavailable("the store is down")))
        self.repeat()
        self.assertEqual(proxy.calls, [])
        down.restore()
        self.repeat()
        self.assertEqual([wanted["mode"] for _, wanted in proxy.calls], ["view"])

    async def test_the_store_has_lost_the_token(self) -> None:
        proxy = await self.begin()
        await self.token()
        await self.missed(proxy, self.api.set_mode(hash_token(TOKEN), "view"))
        await self.transport.store.remove(f"token:{hash_token(TOKEN)}", f"mode:{hash_token(TOKEN)}")
        self.repeat()
        self.assertEqual([wanted["mode"] for _, wanted in proxy.calls], ["view"])
