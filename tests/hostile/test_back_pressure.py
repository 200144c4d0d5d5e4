"""Whoever goes while the other side does not read: in every direction, in every manner, on both engines, and by TLS."""

import sys
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred

from novnc_twisted.frontend.listener import Listener
from novnc_twisted.relay import StreamEnd, stream_end, timer_wheel
from tests.hostile.case import HostileCase
from tests.hostile.clients import FRONTS, MESSAGES, Dialect, introduced
from tests.hostile.servers import GOOD, GOOD_VENCRYPT, PICTURE
from tests.service.test_tls import client_tls
from tests.session.test_upstream_tls import NAMED, OURS, served
from tests.support.ledger import Ledger
from tests.support.script import LEAVES, Await, Deaf, Flood, Hear, Say, Script
from tests.support.scripted import Peer, meet, turn


class PressureCase(HostileCase):
    """A live session in which one side floods and the other is deaf."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(stream_end, "CLOSE_GRACE", 0.1)
        self.patch(timer_wheel, "RESOLUTION", 0.05)
        for module in "novnc_twisted.relay.websocket_end", "novnc_twisted.xvpvncproxy.protocol":
            self.patch(sys.modules[module], "VIEWER_STALL", 0.2)
        self.patch(sys.modules["novnc_twisted.session.upstream.dial"], "STALL", 0.2)
        original = StreamEnd.pauseProducing

        def pause(end: StreamEnd) -> None:
            original(end)
            if not self._told:
                self._told = True
                reactor.callLater(0, self.full.callback, None)

        self.patch(StreamEnd, "pauseProducing", pause)

    async def under_pressure(
        self, by: Dialect, viewer: Script, server: Script, *, tls: Any = None, good: Script = GOOD
    ) -> Peer:
        """Begin a session; its peers do the rest once it lives.

        Each may wait for ``full``: that the proxy holds what somebody does not read.
        """
        self.full: Deferred[None] = Deferred()
        self._told = False
        self.scripted.script = (*good, Hear(len(MESSAGES)), *server)
        self.scripted.events = events = {"full": self.full}
        said = Say(by.words(MESSAGES))
        return await meet(self.front_port, (*introduced(by), said, *viewer), events, tls=tls)

    async def over(self, viewer: Peer, causes: tuple[str, ...]) -> None:
        """The session ends, though nobody of its peers is asked to do anything more."""
        await self.full
        await self.all_over()
        for peer in (viewer, *self.scripted.peers):  # those that do not read do not know
            peer.leave()
            await peer.gone
        record: Any = await self.record()
        self.assertIn(record["cause"], causes)
        self.assertEqual(record["phase"], "live")
        self.scripted.peers.clear()


class Pressure(PressureCase):
    async def every_way(self, by: Dialect) -> None:
        """Who floods, who goes, and how."""
        self.behind(by)
        floods = Flood(by.words(MESSAGES))
        before = None
        for leave in (LEAVES["reset"], *LEAVES.values()):
            for viewer, server, causes in (
                ((Deaf(), Await("full"), *leave), (Flood(PICTURE),), ("ClientLeft",)),
                ((Deaf(),), (Flood(PICTURE), Await("full"), *leave), ("ConsoleClosed", "ClientLeft")),
                ((floods, Await("full"), *leave), (Deaf(),), ("ConsoleClosed", "ClientLeft")),
                ((floods,), (Deaf(), Await("full"), *leave), ("ConsoleClosed",)),
            ):
                await self.over(await self.under_pressure(by, viewer, server), causes)
            if before is None:
                before = Ledger.now()
        await self.left_nothing(before)

    async def test_novnc(self) -> None:
        await self.every_way(FRONTS[0])

    async def test_xvp(self) -> None:
        await self.every_way(FRONTS[1])

    async def test_stopping(self) -> None:
        """The proxy itself goes."""
        for by in FRONTS:
            for viewer, server in (((Deaf(),), (Flood(PICTURE),)), ((Flood(by.words(MESSAGES)),), (Deaf(),))):
                self._fronts.clear()
                self.behind(by)
                client = await self.under_pressure(by, viewer, server)
                await self.full
                await self.front.stop_sessions()
                await self.over(client, ("Stopping",))


class PressureOnTransports(Pressure):
    """The other engine."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(sys.modules["novnc_twisted.relay.join"], "detached_join", lambda *_: None)


class PressureInTLS(PressureCase):
    """TLS may be ended by itself: the socket stays, and what waits for it is still taken.

    Twisted then waits for its producer, who waits for Twisted: sessions lived on for as long as the other end did.
    """

    entrance = True
    over_tls = True

    def listen(self, factory: Any) -> int:
        if not (self.over_tls and hasattr(factory, "failures")):
            return super().listen(factory)
        if not self.entrance:
            loaded = ssl.PrivateCertificate.loadPEM(NAMED.key + NAMED.cert)
            port = reactor.listenSSL(0, factory, loaded.options(), interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            return port.getHost().port  # type: ignore[no-any-return]
        entrance = Listener(reactor, factory, tls=served(NAMED), tls_only=True)
        self.addCleanup(entrance.stop)
        return super().listen(entrance)

    async def ended(self, tls: Any) -> None:
        """Say by TLS that it is over, and take all that comes."""
        tls._tlsConnection.shutdown()
        tls._flushSendBIO()
        for _ in range(3):
            await turn()
        tls.transport.resumeProducing()

    async def viewer_ends(self) -> None:
        for by in FRONTS:
            self.behind(by)
            viewer: Any = await self.under_pressure(by, (Deaf(),), (Flood(PICTURE),), tls=client_tls(OURS))
            await self.full
            await self.ended(viewer.transport)
            await self.over(viewer, ("ClientLeft",))

    async def test_a_viewer(self) -> None:
        """On a port of ours."""
        await self.viewer_ends()

    async def test_a_viewer_at_a_port_of_twisteds(self) -> None:
        self.entrance = False
        await self.viewer_ends()

    async def test_a_server(self) -> None:
        """VeNCrypt's TLS."""
        self.over_tls = False
        self.patch(sys.modules["novnc_twisted.session.upstream.dial"], "STALL", 30)
        for by in FRONTS:
            self.behind(by)
            floods = Flood(by.words(MESSAGES))
            viewer = await self.under_pressure(by, (floods,), (Deaf(),), good=GOOD_VENCRYPT)
            await self.full
            (server,) = self.scripted.peers
            transport: Any = server.transport
            await self.ended(transport.protocol)
            await self.over(viewer, ("ConsoleClosed",))
