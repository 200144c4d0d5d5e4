"""Peers that leave after each byte, in each way (as in CVE-2009-3616): viewers and VNC servers, at both proxies."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, NOVNC, XVPVNC, Dialect, ahead, introduced
from tests.hostile.servers import GOOD, GOOD_VNC, OLD, script_of
from tests.session.harness import TOKEN
from tests.support.ledger import Ledger
from tests.support.script import LEAVES, Receive, Script, bytes_sent, cut, trickled
from tests.support.scripted import Peer, meet


class Cuts(HostileCase):
    def begin(self, by: Dialect) -> None:
        self.behind(by, refusal_deadline=0.03)

    async def one(self, script: Script) -> Peer:
        peer = await meet(self.front_port, script)
        await peer.gone
        return peer

    async def every(self, by: Dialect, scripts: list[Script], causes: set[str]) -> None:
        """Play these scripts, some at a time; assert that the sessions end with these causes, and nothing is left."""
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
        """A viewer that sends without waiting, and leaves after some of its bytes."""
        self.begin(by)
        self.scripted.script = GOOD
        words = ahead(by)
        scripts = [cut(words, count, leave) for count in range(bytes_sent(words) + 1) for leave in LEAVES.values()]
        await self.every(by, scripts, {"ClientLeft"})

    async def servers(self, by: Dialect) -> None:
        """A VNC server leaves early; the viewer receives the reason."""
        self.begin(by)
        for good in (GOOD, GOOD_VNC, script_of(OLD)):
            scripts = [cut(good, count, leave) for count in range(bytes_sent(good)) for leave in LEAVES.values()]
            before: Any = None
            for script in scripts:
                self.scripted.script = script
                viewer = await self.one(takes_the_refusal(by))
                if by.name == "xvp":
                    self.assertTrue(viewer.received.startswith(b"HTTP/1.1 502 "), script)
                else:
                    self.assertIn(b"can't be reached", bytes(viewer.received))
                record: Any = await self.record()
                self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", "login"), script)
                self.assertIn("closed the connection", record["detail"])
                self.scripted.peers.clear()
                before = before or Ledger.now()
            await self.left_nothing(before)

    async def test_wrong_tokens_and_all_the_rest_at_once(self) -> None:
        """CVE-2022-36436: pipelined bytes must not reach the VNC server."""
        for by in FRONTS:
            self.begin(by)
            self.scripted.script = GOOD
            for token in "wrong", "", TOKEN + "x", TOKEN[:-1]:
                await self.one((*ahead(by, token), *LEAVES["half close"]))
                await self.record()
            self.assertEqual(self.scripted.peers, [])

    async def test_byte_by_byte(self) -> None:
        """A session is set up even if both sides send one byte at a time."""
        for by in FRONTS:
            self.begin(by)
            for good in (GOOD, GOOD_VNC, script_of(OLD)):
                self.scripted.script = trickled(good)
                viewer = await meet(self.front_port, (*trickled(introduced(by)), Receive(0), *LEAVES["close"]))
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
