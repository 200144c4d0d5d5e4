"""A TCP connection to an address that is known, with nothing on its way but the kernel.

Twisted's own clients bring a connector, a resolver, a timer and a turn of the reactor for each of them, and endpoints
leave a protocol between the transport and ours: together a twentieth of a session's set-up.
"""

import errno
import os
import socket
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import getConnectError
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from zope.interface import implementer

_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


async def connect(reactor: IReactorFDSet, family: int, address: Any) -> socket.socket:
    """A connected socket, which does not block.  There is no deadline; cancelling closes it.

    :raises twisted.internet.error.ConnectError: or one of its subclasses, by the kernel's reason.
    """
    dialled = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        number = dialled.connect_ex(address)
        if number == errno.EINPROGRESS:
            number = await _Dialling(reactor, dialled, address).settled
        if number:
            raise getConnectError((number, os.strerror(number)))
    except BaseException:
        dialled.close()
        raise
    return dialled


@implementer(IReadWriteDescriptor)
class _Dialling:
    """Waits until the kernel knows.

    The reactor may tell of things that are not so: what it was told of a socket that was closed meanwhile, whose
    descriptor's number is ours now.  So each time the kernel is asked.

    :ivar settled: fires with 0, or the number of the error.
    """

    def __init__(self, reactor: IReactorFDSet, dialled: socket.socket, address: Any) -> None:
        self._reactor, self._dialled, self._address = reactor, dialled, address
        self.fileno = dialled.fileno
        self.settled: Deferred[int] = Deferred(lambda _: reactor.removeWriter(self))
        reactor.addWriter(self)

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "dial"

    def doWrite(self) -> None:
        """Something is known, or so it seems."""
        number = self._asked()
        if number not in _UNDER_WAY and not self.settled.called:
            self._reactor.removeWriter(self)
            self.settled.callback(number)

    doRead = doWrite

    def connectionLost(self, reason: Any) -> None:
        """The same; the reactor has let go of it already."""
        if self.settled.called:
            return
        number = self._asked()
        if number in _UNDER_WAY:
            self._reactor.addWriter(self)
        else:
            self.settled.callback(number)

    def _asked(self) -> int:
        if self.settled.called:
            return 0
        number = self._dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        number = number or self._dialled.connect_ex(self._address)
        return 0 if number == errno.EISCONN else number
