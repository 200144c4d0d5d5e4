"""Peers that leave in the middle of TLS: a VNC server with VeNCrypt, and a viewer at our listener.

They leave after each of the first bytes, later after every eleventh byte.  A run that left after each byte (2,100 and
700) took a minute, and found nothing more.
"""

from typing import Any

from novnc_twisted.frontend.listener import Listener
from tests.frontend.tls_case import client_tls
from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, introduced
from tests.hostile.middle import Middle
from tests.hostile.servers import GOOD, GOOD_VENCRYPT
from tests.session.upstream_tls_case import NAMED, OURS, served
from tests.support.ledger import Ledger
from tests.support.script import LEAVES
from tests.support.scripted import meet, reactor

WAYS = tuple(LEAVES.values())
CLEAR = 60
"""The number of first bytes: peers leave after each of them."""

VARIES = 64
"""The number of last bytes, where no peer leaves: close_notify, and differences in length between handshakes."""


def places(length: int) -> list[int]:
    return [*range(1, CLEAR), *range(CLEAR, length - VARIES, 11)]


class VeNCrypt(HostileCase):
    async def test_a_server(self) -> None:
        """A server leaves before the end of ServerInit, in clear and in TLS, in turn by close, reset and half close."""
        by = FRONTS[0]
        self.scripted.script = GOOD_VENCRYPT
        middle = Middle(self.port, of_server=True)
        self.port = self.listen(middle)
        self.behind(by)
        viewer = await meet(self.front_port, (*introduced(by), *LEAVES["close"]))
        await viewer.gone
        self.assertEqual((await self.over(middle))["phase"], "live")
        length, before = middle.passed, Ledger.now()
        for count in places(length):
            middle.count, middle.leave = count, WAYS[count % 3]
            viewer = await meet(self.front_port, takes_the_refusal(by))
            await viewer.gone
            self.assertIn(b"can't be reached", bytes(viewer.received), count)
            record = await self.over(middle)
            self.assertEqual(record["cause"], "ConsoleUnreachable", count)
        await self.left_nothing(before)

    async def over(self, middle: Middle) -> dict[str, Any]:
        await self.all_over()
        for way in middle.ways:
            await way.gone
            if way.other is not None:
                await way.other.gone
        middle.ways.clear()
        record: Any = await self.record()
        self.scripted.peers.clear()
        return record  # type: ignore[no-any-return]


class AtOurPort(HostileCase):
    proxies: Any = None

    def listen(self, factory: Any) -> int:
        if hasattr(factory, "failures"):
            factory = self.listener = Listener(reactor, factory, tls=served(NAMED), tls_only=True, proxies=self.proxies)
            self.addCleanup(factory.stop)
        return super().listen(factory)

    async def test_a_viewer(self) -> None:
        """A viewer leaves before the end of its RFB handshake."""
        by = FRONTS[0]
        self.scripted.script = GOOD
        self.behind(by)
        middle = Middle(self.front_port, of_server=False)
        port = self.listen(middle)
        tls = client_tls(OURS)
        viewer = await meet(port, introduced(by), tls=tls)
        await viewer.acted
        viewer.leave()
        await self.gone(middle)
        self.events.clear()
        length, before = middle.passed, Ledger.now()
        for count in places(length):
            middle.count, middle.leave = count, WAYS[count % 3]
            viewer = await meet(port, introduced(by), tls=tls)
            await self.gone(middle)
            viewer.leave()
        causes = {event["cause"] for event in self.events if event.get("event") == "session"}
        self.assertEqual(causes, {"ClientLeft"})
        self.proper_log()
        await self.left_nothing(before)

    async def gone(self, middle: Middle) -> None:
        """Wait until all connections are gone; only the proxy closes them."""
        for way in middle.ways:
            await way.gone
            if way.other is not None:
                await way.other.gone
        middle.ways.clear()
        await self.all_over()
        for connection in list(self.front.connections):
            await connection.gone
        for peer in self.scripted.peers:
            await peer.gone
        self.scripted.peers.clear()
