"""Two thousand requests with different Host and Origin fields leave no state in the proxy (nova bug 2158919)."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.session import SessionSettings
from tests.relay.end_case import Transport

UPGRADE = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{origin}\r\nX-Forwarded-Host: {origin}\r\n"
    "X-Forwarded-Proto: https\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
)
PAGE = "GET /none HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{origin}\r\nX-Forwarded-For: {host}\r\n\r\n"


async def never(*_: str) -> ConnectInfo:
    return await Deferred()


class NothingLearned(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.front = NoVNCProxyFactory(
            self.reactor,
            never,
            settings=SessionSettings(max_failures_per_minute=0),
            allowed_origins=("portal",),
            trusted_proxies=("10.0.0.1",),
        )

    def status(self, request: str, **names: str) -> int:
        protocol: Any = self.front.buildProtocol(None)
        transport = Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(request.format(**names).encode())
        answer = transport.take()
        protocol.connectionLost(Failure(ConnectionDone()))
        return int(answer[9:12])

    def configured(self) -> dict[str, str]:
        """All state that is kept between requests, as text."""
        seen = {name: repr(value) for name, value in vars(self.front).items() if name not in ("reactor", "connections")}
        handshakes = vars(self.front.upgrades.handshaker._factory)
        return seen | {f"handshake {name}": repr(value) for name, value in handshakes.items()}

    def test_from_many_requests(self) -> None:
        self.assertEqual(self.status(UPGRADE, host="evil0", origin="evil0"), 101)
        before = self.configured()
        self.assertIn("'portal'", before["upgrades"])
        for at in range(1_000):
            self.assertEqual(self.status(PAGE, host=f"evil{at}", origin=f"evil{at}"), 404)
            self.assertEqual(self.status(UPGRADE, host=f"evil{at}", origin=f"evil{at + 1}"), 403)
        for at in (0, 1, 7, 999):
            self.assertEqual(self.status(UPGRADE, host="h", origin=f"evil{at}"), 403)
        self.assertEqual(self.status(UPGRADE, host="h", origin="portal"), 101)
        self.assertEqual(self.configured(), before)
        self.assertEqual((len(self.front.failures), self.front.connections), (0, set()))
