"""Accepts connections on a socket that other processes may use, too."""

import errno
import os
import resource
import socket
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.frontend.unix_port import SharedUnixPort

PAUSE: Final = 0.5
"""Seconds for which no connection is accepted after the process or system ran out of file descriptors or memory."""

LOG_INTERVAL: Final = 60.0
"""Minimum number of seconds between two log lines about a lack of file descriptors or memory."""

# Not a class attribute: a Logger would then take the name of the class and ignore its namespace.
_log: Final = Logger(namespace="novnc_twisted.frontend")

_GONE: Final = (
    *(errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN, errno.ENOPROTOOPT),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EOPNOTSUPP),
)
"""Errors of accept(2) after which no pause is needed: another process took the connection, its client left, or the
network failed."""


@implementer(IReadDescriptor)
class Acceptor:
    """Accepts one connection in each iteration of the reactor.

    Twisted's port can accept a hundred connections at once.  So if 40 connections are waiting, the first worker that
    wakes up may take all of them.  If each worker accepts one connection at a time, two equally busy workers take about
    20 each; otherwise, the less busy worker takes more.  This class needs as much CPU time as Twisted's port
    (measured).

    If no file descriptor is left, Twisted's port closes the waiting connections, and logs a line for each.  This class
    lets them wait in the kernel's queue, pauses before it tries again, and logs one line a minute.
    """

    def __init__(self, reactor: Any, listener: socket.socket, factory: ServerFactory) -> None:
        """Begin to accept.  The acceptor owns ``listener`` and closes it."""
        self._reactor = reactor
        if listener.family == socket.AF_UNIX:
            self._port: Any = SharedUnixPort.adopt(reactor, listener.fileno(), factory)
        else:
            self._port = reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
        # Both kinds of port have made their own copy of the descriptor.
        listener.close()
        # This object accepts instead of Twisted's port, which only makes the transports and knows the address.
        self._port.stopReading()
        self._resume: IDelayedCall | None = None
        self._logged_at: float | None = None
        reactor.addReader(self)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return int(self._port.fileno())

    def logPrefix(self) -> str:
        """See ILoggingContext."""
        return str(self._port.logPrefix())

    def doRead(self) -> None:
        """Accept one connection."""
        try:
            accepted, address = self._port.socket.accept()
        except OSError as error:
            # Do not pause after the error of a single connection, or any client could slow down all other clients.
            if error.errno not in _GONE:
                self._pause(error)
            return
        try:
            self._begin(accepted, address)
        except Exception:  # an error in the factory or the protocol must not stop the port
            accepted.close()
            _log.failure("a new connection was closed because of an error in this program")

    def _begin(self, accepted: socket.socket, address: Any) -> None:
        """Make a protocol and its transport, in the same way as Twisted's own port."""
        port = self._port
        if isinstance(address, tuple) and len(address) == 4 and address[3]:  # a link-local IPv6 address has a zone
            flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
            address = (socket.getnameinfo(address, flags)[0], *address[1:])
        protocol = port.factory.buildProtocol(port._buildAddr(address))
        if protocol is None:
            accepted.close()
            return
        number, port.sessionno = port.sessionno, port.sessionno + 1
        try:
            transport = port.transport(accepted, protocol, address, port, number, self._reactor)
        except Exception:  # for example: the reactor cannot watch the socket (ENOSPC of epoll)
            protocol.connectionLost(Failure())  # releases the slot in the connection limits
            raise
        try:
            protocol.makeConnection(transport)
        except Exception:
            # The transport reads already.  If only its socket were closed, the reactor would keep the file descriptor,
            # and would not read a later connection whose descriptor has the same number.
            transport.abortConnection()
            raise

    def _pause(self, error: OSError) -> None:
        # The socket stays readable while connections wait.  Without the pause, the reactor would call doRead() again at
        # once, in a busy loop.
        self._reactor.removeReader(self)
        self._resume = self._reactor.callLater(PAUSE, self._go_on)
        now = self._reactor.seconds()
        if self._logged_at is None or now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            _log.error(
                "can't accept connections on {port}: {error}{hint}. New connections wait; the next attempt is "
                "made in {pause:g} s (logged at most once a minute)",
                port=_name_of(self._port.getHost()),
                error=os.strerror(error.errno or 0),
                hint=_hint(error.errno),
                pause=PAUSE,
            )

    def _go_on(self) -> None:
        self._resume = None
        self._reactor.addReader(self)

    def connectionLost(self, reason: Any) -> None:
        """See IReadDescriptor: the descriptor is unusable, or the reactor stops."""
        self._port.connectionLost(reason)

    def stop(self) -> Any:
        """Stop accepting.

        :return: a Deferred that fires when the socket is closed in this process; None: it is closed already.
        """
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        elif self._port.connected:
            self._reactor.removeReader(self)
        return self._port.stopListening()


def _name_of(address: Any) -> str:
    return f"port {address.port}" if hasattr(address, "port") else str(getattr(address, "name", address))


def _hint(number: int | None) -> str:
    """Return the part of the log line that says what to do about this error; empty for most errors."""
    if number == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f" (the limit of this process is {limit}). Raise LimitNOFILE of the systemd unit (RLIMIT_NOFILE), or lower "
            "[console] max_connections or max_sessions"
        )
    if number == errno.ENFILE:
        return ". Raise the kernel's fs.file-max (sysctl)"
    return ""
