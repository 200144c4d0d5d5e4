"""Gone in the middle of TLS: a VNC server in VeNCrypt, and a viewer at our port.

What is in clear is cut after each byte.  Of what is OpenSSL's to read one byte in eleven is taken: all of them (some
2,100 and 700) were once, which takes a minute.
"""

from typing import Any

from novnc_twisted.frontend.listener import Listener
from tests.hostile.case import HostileCase, takes_the_refusal
from tests.hostile.clients import FRONTS, introduced
from tests.hostile.middle import Middle
from tests.hostile.servers import GOOD, GOOD_VENCRYPT
from tests.service.test_tls import client_tls
from tests.session.test_upstream_tls import NAMED, OURS, served
from tests.support.ledger import Ledger
from tests.support.script import LEAVES
from tests.support.scripted import meet, reactor

WAYS = tuple(LEAVES.values())
CLEAR = 60
"""Bytes after each of which it is cut."""

VARIES = 64
"""Bytes at the end: TLS's own good-bye, and by what two handshakes of the same peers differ."""


def places(length: int) -> list[int]:
    return [*range(1, CLEAR), *range(CLEAR, length - VARIES, 11)]


class VeNCrypt(HostileCase):
    async def test_a_server(self) -> None:
        """All that it says up to ServerInit, in clear and within TLS, in turns closed, reset and half closed."""
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
            self.assertIn(b"can't be reached", bytes(viewer.heard), count)
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
            factory = self.entrance = Listener(reactor, factory, tls=served(NAMED), tls_only=True, proxies=self.proxies)
            self.addCleanup(factory.stop)
        return super().listen(factory)

    async def test_a_viewer(self) -> None:
        """All that it says up to its part of RFB."""
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
        length, before = middle.passed, Ledger.now()
        for count in places(length):
            middle.count, middle.leave = count, WAYS[count % 3]
            viewer = await meet(port, introduced(by), tls=tls)
            await self.gone(middle)
            viewer.leave()
        causes = {event["cause"] for event in self.events if event.get("event") == "session"}
        self.assertLessEqual(causes, {"ClientLeft"})
        self.proper_log()
        await self.left_nothing(before)

    async def gone(self, middle: Middle) -> None:
        """Whoever came is gone, by the proxy's doing alone."""
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
