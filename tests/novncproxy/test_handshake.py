"""The opening handshake: remembering autobahn's verdicts changes none of them."""

from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.novncproxy.handshake import CHANNEL, MOST_KNOWN, HandshakeFailed, Handshaker

FIELDS = (
    ("host", "console.example"),
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
)
"""The example of RFC 6455, section 1.2."""


def head(*more: tuple[str, str], method: str = "GET", minor: int = 1, **values: str) -> RequestHead:
    """Return a head; ``values`` replace those of :data:`FIELDS`."""
    given = {name.replace("_", "-"): value for name, value in values.items()}
    fields = [(name, given.get(name, value)) for name, value in FIELDS]
    return RequestHead(method, "/?token=t", minor, (*fields, *more))


HEADS = (
    head(),
    head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAA=="),
    head(sec_websocket_key="+/+/+/+/+/+/+/+/+/+/+g=="),
    head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAA==="),
    head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAAA="),
    head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAA-=="),
    head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAA==\u0661"),
    head(sec_websocket_key=""),
    head(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")),
    head(("sec-websocket-protocol", "binary")),
    head(("sec-websocket-protocol", f"{CHANNEL}, binary")),
    head(("sec-websocket-protocol", "base64")),
    head(("user-agent", "one")),
    head(host="other.example"),
    head(host="console.example:443"),
    head(host="console.example:x"),
    head(upgrade="h2c"),
    head(connection="keep-alive, Upgrade"),
    head(connection="close"),
    head(sec_websocket_version="8"),
    head(("sec-websocket-version", "13")),
    head(method="POST"),
    head(minor=0),
)


def verdict(handshaker: Handshaker, given: RequestHead) -> Any:
    try:
        return handshaker.accept(given)
    except HandshakeFailed as error:
        return str(error)


class HandshakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.handshaker = Handshaker(Clock(), channel=True)

    def test_each_verdict_is_autobahns(self) -> None:
        """With and without remembered verdicts."""
        for given in HEADS * 2:
            expected = verdict(self.handshaker, given), verdict(Handshaker(Clock(), channel=True), given)
            with mock.patch.object(Handshaker, "accept", Handshaker._judge):
                judged = verdict(Handshaker(Clock(), channel=True), given)
            self.assertEqual(expected, (judged, judged), given)

    def test_the_example_of_the_rfc(self) -> None:
        for _ in range(2):
            response = self.handshaker.accept(head()).response
            self.assertIn(b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", response)

    def test_autobahn_is_asked_once(self) -> None:
        with mock.patch.object(self.handshaker, "_judge", side_effect=self.handshaker._judge) as judge:
            for given in (head(), head(sec_websocket_key="AAAAAAAAAAAAAAAAAAAAAA=="), head(("user-agent", "one"))):
                self.handshaker.accept(given)
        self.assertEqual(judge.call_count, 1)

    def test_little_is_remembered(self) -> None:
        for number in range(3 * MOST_KNOWN):
            self.handshaker.accept(head(host=f"h{number}"))
            self.assertLessEqual(len(self.handshaker._known), MOST_KNOWN)
