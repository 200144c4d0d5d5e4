"""Peers that play a script (tests/support/script.py) on a connection, as client or as server."""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from zope.interface import implementer

from tests.support.frames import close_of, frame
from tests.support.script import (
    AnswerClose,
    Await,
    Close,
    Deaf,
    Flood,
    HalfClose,
    Pause,
    Receive,
    ReceiveUntil,
    Reset,
    Script,
    Send,
    StartTLS,
    Step,
    Trickle,
)

NO_LINGER = struct.pack("ii", 1, 0)


class PeerLeft(Exception):
    """The connection was lost before the step was done."""


def one_iteration() -> Deferred[None]:
    """Wait for one iteration of the reactor."""
    return deferLater(reactor, 0, lambda: None)


@implementer(IPullProducer)
class Peer(Protocol):
    """One connection.

    :ivar received: everything it received, up to 1 MiB.
    :ivar gone: fires when the connection is lost.
    :ivar acted: fires when the script has ended, or cannot continue because the other side left.
    """

    def __init__(self, script: Script, events: Mapping[str, Deferred[None]] | None = None, tls: Any = None) -> None:
        self.script, self.tls = script, tls
        self.received = bytearray()
        self.gone: Deferred[None] = Deferred()
        self.acted: Deferred[None] = Deferred()
        self.lost = False
        self.flooding = b""
        self._events = events or {}
        self._at = 0  # how many of the received bytes earlier steps have used
        self._waiting: tuple[Callable[[], bool], Deferred[None]] | None = None

    def connectionMade(self) -> None:
        Deferred.fromCoroutine(self._play()).addBoth(self.acted.callback)

    def dataReceived(self, data: bytes) -> None:
        if len(self.received) < 1 << 20:  # no test looks at more of a flood
            self.received += data
        self._check()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True
        self._check()
        self.gone.callback(None)

    def leave(self) -> None:
        """Close at once, in any step of the script."""
        if not self.lost:
            self.transport.abortConnection()

    # IPullProducer, for Flood

    def resumeProducing(self) -> None:
        transport: Any = self.transport
        if transport.disconnecting:  # TLS waits for its producer before it closes
            transport.unregisterProducer()
        else:
            transport.write(self.flooding)

    def stopProducing(self) -> None: ...

    def _check(self) -> None:
        if self._waiting is not None and (self.lost or self._waiting[0]()):
            (condition, waiting), self._waiting = self._waiting, None
            if condition():
                waiting.callback(None)
            else:
                waiting.errback(PeerLeft())

    def _wait_for(self, condition: Callable[[], bool]) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._waiting = condition, waiting
        self._check()
        return waiting

    async def _play(self) -> None:
        try:
            for step in self.script:
                await self.do(step)
                if self.lost:
                    return
        except PeerLeft:
            return

    async def do(self, step: Step) -> None:
        transport: Any = self.transport
        match step:
            case Send(data):
                transport.write(data)
            case Receive(count):
                self._at += count
                await self._wait_for(lambda: len(self.received) >= self._at)
            case ReceiveUntil(mark):
                await self._wait_for(lambda: mark in self.received[self._at :])
                self._at = self.received.index(mark, self._at) + len(mark)
            case Trickle(data):
                for byte in data:
                    if self.lost:
                        return
                    transport.write(bytes((byte,)))
                    await one_iteration()
            case Flood(data):
                begun, self.flooding = bool(self.flooding), data * (1 + 32768 // len(data))
                if not begun:
                    transport.registerProducer(self, False)
            case Pause(iterations):
                for _ in range(iterations):
                    await one_iteration()
            case Await(what):
                await self._events[what]
            case AnswerClose():
                await self._wait_for(lambda: close_of(bytes(self.received)) is not None)
                code, _ = close_of(bytes(self.received)) or (1000, "")
                transport.write(frame(8, code.to_bytes(2, "big")))
            case StartTLS():
                transport.startTLS(self.tls)
            case Deaf():
                transport.pauseProducing()
            case HalfClose():
                transport.loseWriteConnection()
            case Close():
                transport.loseConnection()
            case Reset():
                # Twisted's abortConnection sets SO_LINGER, too, but not on every kind of transport.
                below = getattr(transport, "socket", None)
                if isinstance(below, socket.socket) and below.family != socket.AF_UNIX:
                    below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                transport.abortConnection()


class ScriptedServer(Factory):
    """A server that plays the same script to each client.

    :ivar peers: all connections so far.
    :ivar reached: if set, fires at the next connection.
    """

    noisy = False
    reached: Deferred[None] | None = None

    def __init__(self, script: Script, events: Mapping[str, Deferred[None]] | None = None, tls: Any = None) -> None:
        self.script, self.events, self.tls = script, events, tls
        self.peers: list[Peer] = []

    def buildProtocol(self, addr: object) -> Peer:
        peer = Peer(self.script, self.events, self.tls)
        self.peers.append(peer)
        reached, self.reached = self.reached, None
        if reached is not None:
            reached.callback(None)
        return peer


async def meet(
    port: int,
    script: Script,
    events: Mapping[str, Deferred[None]] | None = None,
    *,
    tls: Any = None,
    bind: str = "127.0.0.1",
) -> Peer:
    """Connect to a port of this machine, and play a script.

    :param tls: creates the client's TLS connection, in which the script is played; None: no TLS.
    :param bind: the local address.
    """
    factory = Factory.forProtocol(lambda: Peer(script, events))
    factory.noisy = False
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(bind, 0))
    peer: Any = await (endpoint if tls is None else wrapClientTLS(tls, endpoint)).connect(factory)
    return peer  # type: ignore[no-any-return]
