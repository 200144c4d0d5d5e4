"""Operations on Twisted's transports beyond their interfaces: taking and returning sockets, and faster writes."""

import socket
import struct
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection


def _options(**values: int) -> tuple[tuple[int, int], ...]:
    """Return the options that this system has, each as its number and the value to set."""
    return tuple((getattr(socket, name), value) for name, value in values.items() if hasattr(socket, name))


# After 60 s of silence, a probe every 15 s; 4 unanswered probes end the connection.  So a vanished peer is noticed
# after two minutes.  Linux' default is over two hours.
_KEEP_ALIVE = _options(TCP_KEEPIDLE=60, TCP_KEEPINTVL=15, TCP_KEEPCNT=4)
# A probe each second.  100 unanswered probes would end the connection, but a deadline of the session does so earlier.
_PROBES = _options(TCP_KEEPINTVL=1, TCP_KEEPCNT=100, TCP_KEEPIDLE=1)


class _Connected(Connection):
    """The transport of a connected socket: a new socket, or one that :func:`take` took out of another transport."""

    # A flag of abstract.FileDescriptor; without it, Twisted discards writes.
    connected = 1
    logstr = "relay"
    _shouldShutdown = False  # not needed before close(), because no other process has the descriptor
    _tlsClientDefault = True  # startTLS() makes us the TLS client


def connected(reactor: Any, connected_socket: socket.socket, protocol: Any) -> None:
    """Give a connected socket to its protocol, as a reactor's own clients do."""
    transport = _Connected(connected_socket, protocol, reactor)
    transport.startReading()
    protocol.makeConnection(transport)


def take(transport: Any) -> tuple[socket.socket, bytes]:
    """Take the socket out of a plain transport; return it with the unsent bytes.

    The transport must not be used afterwards.
    """
    # Unregistered before stopWriting(): unregistering may start the writing again (abstract.FileDescriptor).
    transport.unregisterProducer()
    transport.stopReading()
    transport.stopWriting()
    # Twisted has no public method for the unsent bytes (abstract.FileDescriptor).
    waiting = transport.dataBuffer[transport.offset :] + b"".join(transport._tempDataBuffer)
    # Emptied, because the reactor may still call doWrite() for its present event, and send these bytes again.
    transport.dataBuffer, transport.offset, transport._tempDataBuffer, transport._tempDataLen = b"", 0, [], 0
    transport.connected = False  # a late call through an old reference must do nothing
    transport.protocol = None
    taken: socket.socket = transport.socket
    return taken, waiting


def give_back(reactor: Any, taken: socket.socket, waiting: bytes, end: Any) -> Any:
    """Return a new transport for a socket that :func:`take` has taken; it does not read yet.

    :param end: the protocol and the producer of the new transport; its ``makeConnection`` is not called.
    """
    transport = _Connected(taken, end, reactor)
    # Register before the write: the write may fill the buffer at once, and must then call end.pauseProducing().
    transport.registerProducer(end, True)
    if waiting:
        transport.write(waiting)
    return transport


def send(transport: Any, data: bytes) -> None:
    """Send as much as the socket accepts at once, and write the rest to the transport.

    The transport alone would send nothing before the next reactor iteration.  A session's set-up has nine writes, and
    for each write, the way through the reactor would cost as much CPU time as the write itself.
    """
    sent = 0
    if _is_idle(transport):
        try:  # noqa: SIM105 - this runs nine times in a set-up, and suppress() is ten times slower
            sent = transport.socket.send(data)
        except OSError:
            pass  # BlockingIOError: all bytes go to the transport.  Other errors: the transport gets and reports them.
    if sent != len(data):
        transport.write(data[sent:])


def closed_at_once(transport: Any) -> bool:
    """Close a plain transport at once if it has no unsent bytes; return whether it was closed.

    If it was not closed, the caller has to call ``loseConnection``, which closes it in a later reactor iteration.
    """
    idle = _is_idle(transport)
    if idle:
        transport.connectionLost(connectionDone)
    return idle


def _is_idle(transport: Any) -> bool:
    """Return whether the transport is a plain connected socket without unsent bytes."""
    return (
        is_plain(transport)
        and transport.connected
        and not (transport.dataBuffer or transport._tempDataBuffer or transport._writeDisconnected)
    )


def is_plain(transport: Any) -> bool:
    """Return whether the transport is Twisted's own for a socket, without TLS."""
    return isinstance(transport, Connection) and not getattr(transport, "TLS", False)


def tune(transport: Any) -> None:
    """Set TCP options: send keystrokes without delay, and notice within two minutes that a peer has vanished."""
    if (tcp := _tcp(transport)) is not None:
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        _set(tcp, _KEEP_ALIVE)


def probe(transport: Any) -> None:
    """Send a keep-alive probe each second from now on, until :func:`tune` is called again; TCP only.

    If the peer's kernel does not know the connection, the kernel answers a probe with a reset.  Without probes, such a
    connection would stay silent.
    """
    if (tcp := _tcp(transport)) is not None:
        _set(tcp, _PROBES)


def _tcp(transport: Any) -> socket.socket | None:
    """Return the socket of a TCP connection; None for another kind, or if the connection is gone."""
    tcp = getattr(transport, "socket", None)  # with TLS, the socket of the transport below
    # Check the family, not ITCPTransport: Twisted's transports of unix sockets also provide that interface.
    return tcp if isinstance(tcp, socket.socket) and tcp.family in (socket.AF_INET, socket.AF_INET6) else None


def _set(tcp: socket.socket, options: tuple[tuple[int, int], ...]) -> None:
    for option, value in options:
        tcp.setsockopt(socket.IPPROTO_TCP, option, value)


def unsent(transport: Any) -> int:
    """Return the number of written bytes that the peer's system has not acknowledged; with TLS, the encrypted bytes."""
    below = transport
    # With TLS, the TCP transport is below, perhaps with other protocols in between.
    while not isinstance(below, FileDescriptor):
        below = getattr(below, "transport", None)
        if below is None:
            return 0
    waiting = len(below.dataBuffer) - below.offset + below._tempDataLen
    connected_socket = getattr(below, "socket", None)
    return waiting if connected_socket is None else waiting + in_kernel(connected_socket)


def in_kernel(connected_socket: socket.socket) -> int:
    """Return the number of bytes in the kernel's send buffer that the peer's system has not acknowledged.

    0 if the socket is closed.  Without this number, a slow peer would seem to accept nothing: Linux reports room in a
    full buffer of 4 MiB only after a third of it is free.  If the peer reads 5 KB/s, this takes five minutes.
    """
    try:
        return int(struct.unpack("i", ioctl(connected_socket, TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):  # ValueError: a closed socket has the descriptor -1
        return 0


def waits_for_its_producer(transport: Any) -> bool:
    """Return whether the TCP transport waits for its producer before it closes.

    This happens if the peer has ended TLS while our send buffer was full.  In this state, Twisted closes the socket
    only after the producer has unregistered.  If the producer stayed registered, the session would stay open until its
    other connection ends.
    """
    below = getattr(transport, "transport", transport)  # with TLS, the TCP transport below
    return bool(getattr(below, "disconnecting", False))
