"""TCP keep-alive: when the kernel notices that a peer has vanished."""

import socket
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.relay.transports import probe, tune


class KeepAliveTests(SynchronousTestCase):
    """The options of a real TCP socket, which does not have to be connected."""

    def setUp(self) -> None:
        self.socket = socket.socket()
        self.addCleanup(self.socket.close)
        self.transport = mock.Mock(socket=self.socket)

    def seconds(self) -> tuple[int, int]:
        """Return the seconds of silence before the first probe, and before the connection counts as lost."""
        idle, interval, count = (
            self.socket.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        return idle, idle + interval * count

    def test_two_minutes(self) -> None:
        tune(self.transport)
        self.assertEqual(self.seconds(), (60, 120))
        self.transport.setTcpKeepAlive.assert_called_once_with(True)
        self.transport.setTcpNoDelay.assert_called_once_with(True)

    def test_a_peer_that_may_be_gone(self) -> None:
        """A probe each second.  If none is answered, a deadline of the session expires before these 101 seconds."""
        tune(self.transport)
        probe(self.transport)
        self.assertEqual(self.seconds(), (1, 101))
        tune(self.transport)
        self.assertEqual(self.seconds(), (60, 120))
