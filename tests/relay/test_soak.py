"""Many short sessions of every kind on the detached relay leave no descriptors, timers or readers behind."""

import gc
import random
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ConsoleClosed, Stopping
from novnc_twisted.relay import StreamEnd, WebSocketEnd
from novnc_twisted.relay.detached.engine import _engines
from novnc_twisted.relay.detached.side import StreamSide
from novnc_twisted.relay.timer_wheel import timer_wheel_of
from tests.relay.socket_ends import Owner, flow
from tests.session.harness import Raw, frame

SESSIONS = 2000
AT_A_TIME = 50


def connect(protocol: Any, sock: socket.socket) -> Any:
    """Connect a protocol to a socket, and return the protocol."""
    sock.setblocking(False)
    transport = Server(sock, protocol, ("", 0), None, 0, reactor)
    protocol.makeConnection(transport)
    return protocol


class Soak(TestCase):
    timeout = 300
    detached = 0

    def connected(self, kind: Any, **how: Any) -> tuple[Any, Raw]:
        near, far = socket.socketpair()
        made: Deferred[Any] = Deferred()
        owner = connect(Owner(made, kind, how), near)
        return owner.end, connect(Raw(), far)

    async def session(self, chance: random.Random) -> None:
        """Run a session: both sides send random data, and a random event ends it."""
        framed = chance.random() < 0.8
        client, viewer = self.connected(WebSocketEnd if framed else StreamEnd)
        upstream, server = self.connected(StreamEnd, lost=ConsoleClosed)
        for peer in viewer, server:
            if chance.random() < 0.1:
                peer.transport.pauseProducing()
        cause = flow(client, upstream)
        self.detached += isinstance(client.transport, StreamSide)
        cause.addErrback(lambda why: why.trap(CancelledError))
        typed = chance.randbytes(chance.randrange(3000))
        viewer.write(frame(2, typed, mask=chance.randbytes(4)) if framed else typed)
        server.write(bytes(chance.randrange(1 << chance.randrange(20))))
        for _ in range(chance.randrange(4)):
            await deferLater(reactor, 0, lambda: None)
        chance.choice(
            (
                viewer.transport.loseConnection,
                server.transport.loseConnection,
                viewer.transport.abortConnection,
                server.transport.abortConnection,
                cause.cancel,
                lambda: viewer.write(frame(8, b"\x03\xe8")),
                lambda: viewer.write(frame(9, b"ping") + b"\xff\xff\xff"),
            )
        )()
        if chance.random() < 0.5:
            await deferLater(reactor, 0, lambda: None)
        for peer in viewer, server:
            peer.transport.abortConnection()
        await cause
        for end, peer in (upstream, server), (client, viewer):
            end.close(Stopping())
            await end.closed()
            await peer.gone

    async def test_nothing_is_left(self) -> None:
        await self.session(random.Random(0))  # the first session makes objects that stay
        gc.collect()
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        readers, timers = len(reactor.getReaders()), len(reactor.getDelayedCalls())
        slots = DeferredSemaphore(AT_A_TIME)
        await gatherResults(
            [
                slots.run(lambda at: Deferred.fromCoroutine(self.session(random.Random(at))), at)
                for at in range(1, SESSIONS)
            ]
        )
        self.assertEqual(self.detached, SESSIONS)
        engine = _engines[reactor]
        self.assertEqual((len(engine), engine.held, len(engine._again)), (0, 0, 0))
        self.assertEqual(len(timer_wheel_of(reactor)), 0)
        self.assertEqual(len(list(Path("/proc/self/fd").iterdir())), descriptors)
        self.assertEqual((len(reactor.getReaders()), len(reactor.getDelayedCalls())), (readers, timers))
