"""A TCP connection to an address that is known, with nothing on its way but the kernel.

Twisted's own clients bring a connector, a resolver, a timer and a turn of the reactor for each of them, and endpoints
leave a protocol between the transport and ours: together a twentieth of a session's set-up.
"""

import errno
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import getConnectError
from twisted.internet.interfaces import IReactorFDSet, IWriteDescriptor
from zope.interface import implementer


async def connect(reactor: IReactorFDSet, family: int, address: Any) -> socket.socket:
    """A connected socket, which does not block.  There is no deadline; cancelling closes it.

    :raises twisted.internet.error.ConnectError: or one of its subclasses, by the kernel's reason.
    """
    dialled = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        number = dialled.connect_ex(address)
        if number == errno.EINPROGRESS:
            await _Dialling(reactor, dialled).settled
            number = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise getConnectError((number, os.strerror(number)))
    except BaseException:
        dialled.close()
        raise
    return dialled


@implementer(IWriteDescriptor)
class _Dialling:
    """Waits until the kernel knows: the socket can then be written, or is broken."""

    def __init__(self, reactor: IReactorFDSet, dialled: socket.socket) -> None:
        self._reactor = reactor
        self.fileno = dialled.fileno
        self.settled: Deferred[None] = Deferred(lambda _: reactor.removeWriter(self))
        reactor.addWriter(self)

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "dial"

    def doWrite(self) -> None:
        """It is settled; what it came to is asked of the socket."""
        self._reactor.removeWriter(self)
        self.settled.callback(None)

    def connectionLost(self, reason: Any) -> None:
        """The same: the reactor has let go of it."""
        self.settled.callback(None)
