"""A peer leaves while the other side does not read: in each direction, in each way, on both engines, and over TLS."""

import sys
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred

from novnc_twisted.frontend.listener import Listener
from novnc_twisted.relay import StreamEnd, stream_end, timer_wheel
from tests.frontend.tls_case import client_tls
from tests.hostile.case import HostileCase
from tests.hostile.clients import FRONTS, MESSAGES, Dialect, introduced
from tests.hostile.servers import GOOD, GOOD_VENCRYPT, PICTURE
from tests.session.upstream_tls_case import NAMED, OURS, served
from tests.support.ledger import Ledger
from tests.support.script import LEAVES, Await, Deaf, Flood, Receive, Script, Send
from tests.support.scripted import Peer, meet, one_iteration
from tests.support.vnc_server import with_length

CLIPBOARD = b"\6\0\0\0" + with_length(b"x" * 8000)
"""The message with which a viewer floods.  A long one fills all buffers with little work for the shield."""


class PressureCase(HostileCase):
    """A live session in which one side floods and the other does not read."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(stream_end, "CLOSE_GRACE", 0.1)
        self.patch(timer_wheel, "RESOLUTION", 0.05)
        for module in "novnc_twisted.relay.websocket_end", "novnc_twisted.xvpvncproxy.protocol":
            self.patch(sys.modules[module], "VIEWER_STALL", 0.2)
        self.patch(sys.modules["novnc_twisted.session.upstream.end"], "STALL", 0.2)
        original = StreamEnd.pauseProducing

        def pause(end: StreamEnd) -> None:
            original(end)
            if not self._notified:
                self._notified = True
                reactor.callLater(0, self.full.callback, None)

        self.patch(StreamEnd, "pauseProducing", pause)

    async def under_pressure(
        self, by: Dialect, viewer: Script, server: Script, *, tls: Any = None, good: Script = GOOD
    ) -> Peer:
        """Begin a session.  Its peers play the rest of their scripts once it is live.

        They may await ``full``, which fires when the proxy pauses a side because the other one does not read.
        """
        self.full: Deferred[None] = Deferred()
        self._notified = False
        self.scripted.script = (*good, Receive(len(MESSAGES)), *server)
        self.scripted.events = events = {"full": self.full}
        messages = Send(by.message(MESSAGES))
        return await meet(self.front_port, (*introduced(by), messages, *viewer), events, tls=tls)

    async def over(self, viewer: Peer, causes: tuple[str, ...]) -> None:
        """Assert that the session ends, without any further action of its peers."""
        await self.full
        await self.all_over()
        for peer in (viewer, *self.scripted.peers):  # a peer that does not read does not notice the end
            peer.leave()
            await peer.gone
        record: Any = await self.record()
        self.assertIn(record["cause"], causes)
        self.assertEqual(record["phase"], "live")
        self.scripted.peers.clear()


class Pressure(PressureCase):
    async def every_way(self, by: Dialect) -> None:
        """Every combination of the side that floods, the side that leaves, and the way it leaves."""
        self.behind(by)
        floods = Flood(by.message(CLIPBOARD))
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
        """The proxy itself is stopped."""
        for by in FRONTS:
            for viewer, server in (((Deaf(),), (Flood(PICTURE),)), ((Flood(by.message(CLIPBOARD)),), (Deaf(),))):
                self._fronts.clear()
                self.behind(by)
                client = await self.under_pressure(by, viewer, server)
                await self.full
                await self.front.stop_sessions()
                await self.over(client, ("Stopping",))


class PressureOnTransports(Pressure):
    """The same checks on the engine that uses Twisted's transports."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(sys.modules["novnc_twisted.relay.join"], "detached_join", lambda *_: None)


class PressureInTLS(PressureCase):
    """A peer ends only TLS: the socket stays open, and the peer still reads what is sent.

    Twisted then waits for its producer, and the producer for Twisted, unless the producer unregisters.
    """

    listener = True
    over_tls = True

    def listen(self, factory: Any) -> int:
        if not (self.over_tls and hasattr(factory, "failures")):
            return super().listen(factory)
        if not self.listener:
            loaded = ssl.PrivateCertificate.loadPEM(NAMED.key + NAMED.cert)
            port = reactor.listenSSL(0, factory, loaded.options(), interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            return port.getHost().port  # type: ignore[no-any-return]
        listener = Listener(reactor, factory, tls=served(NAMED), tls_only=True)
        self.addCleanup(listener.stop)
        return super().listen(listener)

    async def end_tls(self, tls: Any) -> None:
        """Send close_notify, and continue to read."""
        tls._tlsConnection.shutdown()
        tls._flushSendBIO()
        for _ in range(3):
            await one_iteration()
        tls.transport.resumeProducing()

    async def viewer_ends(self) -> None:
        for by in FRONTS:
            self.behind(by)
            viewer: Any = await self.under_pressure(by, (Deaf(),), (Flood(PICTURE),), tls=client_tls(OURS))
            await self.full
            await self.end_tls(viewer.transport)
            await self.over(viewer, ("ClientLeft",))

    async def test_a_viewer(self) -> None:
        """At our own listener."""
        await self.viewer_ends()

    async def test_a_viewer_at_a_port_of_twisted(self) -> None:
        self.listener = False
        await self.viewer_ends()

    async def test_a_server(self) -> None:
        """With VeNCrypt's TLS."""
        self.over_tls = False
        self.patch(sys.modules["novnc_twisted.session.upstream.end"], "STALL", 30)
        for by in FRONTS:
            self.behind(by)
            floods = Flood(by.message(CLIPBOARD))
            viewer = await self.under_pressure(by, (floods,), (Deaf(),), good=GOOD_VENCRYPT)
            await self.full
            (server,) = self.scripted.peers
            transport: Any = server.transport
            await self.end_tls(transport.protocol)
            await self.over(viewer, ("ConsoleClosed",))
