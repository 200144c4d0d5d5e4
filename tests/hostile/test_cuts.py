"""Gone after every single byte, in each manner (CVE-2009-3616's shape): viewers and VNC servers, on both fronts."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, NOVNC, XVPVNC, Dialect, ahead, introduced
from tests.hostile.servers import GOOD, GOOD_VNC, OLD, told
from tests.session.harness import TOKEN
from tests.support.ledger import Ledger
from tests.support.script import LEAVES, Hear, Script, cut, trickled, words_of
from tests.support.scripted import Peer, meet


class Cuts(HostileCase):
    def begin(self, by: Dialect) -> None:
        self.behind(by, refusal_deadline=0.03)

    async def one(self, script: Script) -> Peer:
        peer = await meet(self.front_port, script)
        await peer.gone
        return peer

    async def every(self, by: Dialect, scripts: list[Script], causes: set[str]) -> None:
        """Play them, some at a time, and see that nothing is left."""
        await self.crowd([partial(self._one, script) for script in scripts[:2]])
        self.scripted.peers.clear()
        before = Ledger.now()
        await self.crowd([partial(self._one, script) for script in scripts])
        self.assertEqual({event["cause"] for event in self.events if event.get("event") == "session"}, causes)
        self.proper_log()
        await self.left_nothing(before)

    def _one(self, script: Script) -> Deferred[Peer]:
        return Deferred.fromCoroutine(self.one(script))

    async def viewers(self, by: Dialect) -> None:
        """A viewer that waits for nothing: some of its bytes, then it goes."""
        self.begin(by)
        self.scripted.script = GOOD
        words = ahead(by)
        scripts = [cut(words, count, leave) for count in range(words_of(words) + 1) for leave in LEAVES.values()]
        await self.every(by, scripts, {"ClientLeft"})

    async def servers(self, by: Dialect) -> None:
        """Each viewer reads why."""
        self.begin(by)
        for good in (GOOD, GOOD_VNC, told(OLD)):
            scripts = [cut(good, count, leave) for count in range(words_of(good)) for leave in LEAVES.values()]
            before: Any = None
            for script in scripts:
                self.scripted.script = script
                viewer = await self.one(takes_the_refusal(by))
                if by.name == "xvp":
                    self.assertTrue(viewer.heard.startswith(b"HTTP/1.1 502 "), script)
                else:
                    self.assertIn(b"can't be reached", bytes(viewer.heard))
                record: Any = await self.record()
                self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"), script)
                self.assertIn("closed the connection", record["detail"])
                self.scripted.peers.clear()
                before = before or Ledger.now()
            await self.left_nothing(before)

    async def test_wrong_tokens_and_all_the_rest_at_once(self) -> None:
        """CVE-2022-36436: what is pipelined must not slip through."""
        for by in FRONTS:
            self.begin(by)
            self.scripted.script = GOOD
            for token in "wrong", "", TOKEN + "x", TOKEN[:-1]:
                await self.one((*ahead(by, token), *LEAVES["half close"]))
                await self.record()
            self.assertEqual(self.scripted.peers, [])

    async def test_byte_by_byte(self) -> None:
        """However slow, both sides of a good session come through."""
        for by in FRONTS:
            self.begin(by)
            for good in (GOOD, GOOD_VNC, told(OLD)):
                self.scripted.script = trickled(good)
                viewer = await meet(self.front_port, (*trickled(introduced(by)), Hear(0), *LEAVES["close"]))
                await viewer.gone
                record: Any = await self.record()
                self.assertEqual((record["cause"], record["phase"]), ("ClientLeft", "live"))

    async def test_viewers_novnc(self) -> None:
        await self.viewers(NOVNC)

    async def test_viewers_xvp(self) -> None:
        await self.viewers(XVPVNC)

    async def test_servers_novnc(self) -> None:
        await self.servers(NOVNC)

    async def test_servers_xvp(self) -> None:
        await self.servers(XVPVNC)
