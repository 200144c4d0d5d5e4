"""The base class of tests of one end, on a transport in memory."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from novnc_twisted.errors import (
    Refusal,
)
from novnc_twisted.relay import IEnd, StreamEnd

GONE = Failure(ConnectionDone())


class Transport(StringTransport):
    """Records how it was closed."""

    aborted = half_closed = False

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def take(self) -> bytes:
        data = self.value()
        self.clear()
        return data


class Hears:
    """A receiver that records what it is notified of."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: list[Refusal] = []
        self.room: list[bool] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def end_lost(self, cause: Refusal) -> None:
        self.lost.append(cause)

    def pause_writing(self) -> None:
        self.room.append(False)

    def resume_writing(self) -> None:
        self.room.append(True)


class EndCase(SynchronousTestCase):
    kind: Any = StreamEnd

    def setUp(self) -> None:
        self.clock, self.transport, self.hears = Clock(), Transport(), Hears()

    def make(self, **how: Any) -> Any:
        self.end = self.kind(self.clock, "peer", **how)
        self.end.makeConnection(self.transport)
        verifyObject(IProtocol, self.end)
        verifyObject(IEnd, self.end)
        return self.end

    def lose(self) -> None:
        self.end.connectionLost(GONE)
        self.assertEqual(self.clock.getDelayedCalls(), [], "no timer outlives the connection")
