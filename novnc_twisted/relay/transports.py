"""What we do with Twisted's transports beyond their interface: take and give sockets, and save turns of the reactor."""

import socket
from contextlib import suppress
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection

# 60 s, then 4 probes 15 s apart: a vanished peer is noticed after two minutes. Linux' default is over two hours.
_KEEP_ALIVE = tuple(
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
)


class _Connected(Connection):
    """The transport of a socket that is connected already: it was just made, or returned from a detached relay."""

    # abstract.FileDescriptor's own flag: without it Twisted's writes are discarded.
    connected = 1
    logstr = "relay"
    _shouldShutdown = False  # no other process has the descriptor
    _tlsClientDefault = True


def connected(reactor: Any, connected_socket: socket.socket, protocol: Any) -> None:
    """Give a connected socket to its protocol, as a reactor's own clients do."""
    transport = _Connected(connected_socket, protocol, reactor)
    transport.startReading()
    protocol.makeConnection(transport)


def take(transport: Any) -> tuple[socket.socket, bytes]:
    """Take the socket away from a plain transport; return it with the bytes that were still to be sent.

    The transport is of no use afterwards.
    """
    # First: unregistering a producer may start the writing again (abstract.FileDescriptor).
    transport.unregisterProducer()
    transport.stopReading()
    transport.stopWriting()
    # There is no public way to the bytes that a transport has not sent yet (abstract.FileDescriptor).
    waiting = transport.dataBuffer[transport.offset :] + b"".join(transport._tempDataBuffer)
    # Emptied: a late write through an old reference would send these bytes once more.
    transport.dataBuffer, transport.offset, transport._tempDataBuffer, transport._tempDataLen = b"", 0, [], 0
    transport.connected = False  # a late call through an old reference must do nothing
    transport.protocol = None
    taken: socket.socket = transport.socket
    return taken, waiting


def give_back(reactor: Any, taken: socket.socket, waiting: bytes, end: Any) -> Any:
    """Return a new transport for a socket that was taken; it does not read yet.

    :param end: its protocol and its producer; its ``makeConnection`` is not called.
    """
    transport = _Connected(taken, end, reactor)
    # Before the write, which may fill the buffer at once and has to report that to the end.
    transport.registerProducer(end, True)
    if waiting:
        transport.write(waiting)
    return transport


def send(transport: Any, data: bytes) -> None:
    """Write as much as the socket takes at once, and the rest through the transport.

    A transport alone would first ask the reactor for a turn of its own.  A session's set-up has nine writes, and each
    such turn costs as much as the write.
    """
    sent = 0
    if _is_idle(transport):
        # BlockingIOError included: then nothing was sent, and all of it goes through the transport.
        with suppress(OSError):  # the transport meets the same error, and reports it
            sent = transport.socket.send(data)
    if sent != len(data):
        transport.write(data[sent:])


def closed_at_once(transport: Any) -> bool:
    """Close a transport for which nothing waits to be sent; False if it must be closed in the usual way.

    A transport would ask the reactor for a turn of its own before it closes.
    """
    idle = _is_idle(transport)
    if idle:
        transport.connectionLost(connectionDone)
    return idle


def _is_idle(transport: Any) -> bool:
    """Whether the transport is a plain connected socket, and nothing waits to be sent."""
    return (
        is_plain(transport)
        and transport.connected
        and not (transport.dataBuffer or transport._tempDataBuffer or transport._writeDisconnected)
    )


def is_plain(transport: Any) -> bool:
    """Whether the transport is Twisted's own for a socket, without TLS."""
    return isinstance(transport, Connection) and not getattr(transport, "TLS", False)


def tune(transport: Any) -> None:
    """Send keystrokes without delay, and notice a peer that vanished within two minutes, by probes; TCP only."""
    tcp = getattr(transport, "socket", None)  # with TLS: of the transport below
    # The family is asked, since Twisted's transports of unix sockets provide ITCPTransport as well.
    if isinstance(tcp, socket.socket) and tcp.family in (socket.AF_INET, socket.AF_INET6):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        for option, value in _KEEP_ALIVE:
            tcp.setsockopt(socket.IPPROTO_TCP, option, value)


def waits_for_its_producer(transport: Any) -> bool:
    """Whether the peer ended TLS while the buffer was full.

    Twisted then closes the socket when its producer has unregistered.  A producer that waits for Twisted instead would
    keep the session alive as long as the other end.
    """
    return bool(getattr(getattr(transport, "transport", transport), "disconnecting", False))
