"""Connects to a known address, directly with the kernel's sockets.

Twisted's own clients add a connector, a resolver, a timer and an iteration of the reactor for each connection.  An
endpoint also leaves a wrapper around the protocol.  Together, this would be a twentieth of the CPU work of a set-up.
"""

import errno
import os
import socket
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import getConnectError
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from zope.interface import implementer

from novnc_twisted.messaging.waiting import within

_IN_PROGRESS: Final = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


async def connect(reactor: Any, family: int, address: Any, seconds: float | None = None) -> socket.socket:
    """Return a connected, non-blocking socket.  Cancelling closes the socket.

    :param reactor: IReactorFDSet, and IReactorTime for ``seconds``.
    :param seconds: seconds for an answer; None: no limit.
    :raises Late: there was no answer in time.
    :raises twisted.internet.error.ConnectError: the connection failed; the subclass depends on the kernel's error.
    """
    connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        number = connecting.connect_ex(address)
        if number == errno.EINPROGRESS:
            # A second connect_ex returns the state of the attempt: 0 or EISCONN if it has succeeded (connect(2)).
            # If the server is on this machine, the socket is connected by now.
            number = connecting.connect_ex(address)
            if number in _IN_PROGRESS:
                settled = _Attempt(reactor, connecting, address).settled
                number = await (settled if seconds is None else within(settled, seconds, reactor))
        if number and number != errno.EISCONN:
            raise getConnectError((number, os.strerror(number)))
    except BaseException:
        connecting.close()
        raise
    return connecting


@implementer(IReadWriteDescriptor)
class _Attempt:
    """Waits until the kernel has connected the socket, or the attempt has failed.

    The reactor may report an event of an older socket that had the same descriptor number.  So an event is only a
    reason to ask the kernel for the state of this socket.

    :ivar settled: fires with 0 if the socket is connected, else with the number of the error (errno).
    """

    def __init__(self, reactor: IReactorFDSet, connecting: socket.socket, address: Any) -> None:
        self._reactor, self._dialled, self._address = reactor, connecting, address
        self.fileno = connecting.fileno
        # A cancellation must take the socket out of the reactor before the descriptor is closed.  After the close,
        # another socket may get the same descriptor number.
        self.settled: Deferred[int] = Deferred(lambda _: reactor.removeWriter(self))
        reactor.addWriter(self)

    def logPrefix(self) -> str:
        """Return the name in Twisted's log."""
        return "dial"

    def doWrite(self) -> None:
        """Ask the kernel whether the attempt is over."""
        number = self._error()
        if number not in _IN_PROGRESS and not self.settled.called:
            self._reactor.removeWriter(self)
            self.settled.callback(number)

    doRead = doWrite

    def connectionLost(self, reason: Any) -> None:
        """Ask the kernel; the reactor has removed this descriptor already."""
        if self.settled.called:
            return
        number = self._error()
        if number in _IN_PROGRESS:
            self._reactor.addWriter(self)
        else:
            self.settled.callback(number)

    def _error(self) -> int:
        """Return the state of the attempt.

        :return: 0 if the socket is connected, or if ``settled`` has fired; one of :data:`_IN_PROGRESS` if the kernel is
            still connecting; else the number of the error.
        """
        if self.settled.called:
            return 0
        number = self._dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # SO_ERROR is 0 both after a success and while the attempt is under way; connect_ex distinguishes the two.
        number = number or self._dialled.connect_ex(self._address)
        return 0 if number == errno.EISCONN else number
