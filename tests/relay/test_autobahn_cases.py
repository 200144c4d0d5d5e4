"""The Autobahn WebSocket cases: against the frame engine with a message echo behind it, and through a whole proxy."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from novnc_twisted.access.request_head import HeadBuffer, read_request
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.novncproxy.factory import NoVNCProxyFactory
from novnc_twisted.novncproxy.handshake import Handshaker
from novnc_twisted.relay.frames import CLOSE, NO_CODE, PONG, FrameDecoder, binary_header, close_frame, control_frame
from novnc_twisted.session.settings import SessionSettings
from tests.session.harness import Raw, WebSocket, introduce
from tests.support.autobahn_cases import Frames, TextAsBinary, Verdict, run_cases, unexpected
from tests.support.vnc_server import FakeVNCServer


class Echo(Protocol):
    """An echo server with our handshake and our frames: sends every message back in one frame."""

    text_as_binary = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.head = HeadBuffer()
        self.decoder = FrameDecoder(limit=1 << 24)  # group 9 sends 16 MiB
        self.frames = Frames()
        self.text = TextAsBinary()
        self.message = bytearray()
        self.open = self.closing = False

    def dataReceived(self, data: bytes) -> None:
        if not self.open:
            head = self.head.receive(data)
            if head is None:
                return
            self.transport.write(Handshaker(reactor).accept(read_request(head)).response)
            self.open, data = True, self.head.rest
        if self.text_as_binary:
            data = self.text.changed(data)
        # The decoder does not report the end of a message, so it is fed frame by frame.
        for piece, begins, ends in self.frames.cut(data):
            if begins:
                self.opcode, self.final = piece[0] & 0x0F, piece[0] & 0x80
            self.message += self.decoder.receive(piece)
            if ends and self.opcode < CLOSE and self.final:
                self.echo()
            self.look()

    def echo(self) -> None:
        message, self.message = bytes(self.message), bytearray()
        if self.decoder.failure is None and not self.decoder.closed:
            header = binary_header(len(message))
            if self.text_as_binary and self.text.messages.pop(0):
                header = b"\x81" + header[1:]
            self.transport.write(header + message)

    def look(self) -> None:
        decoder = self.decoder
        for payload in decoder.pings:
            self.transport.write(control_frame(PONG, payload))
        decoder.pings.clear()
        if self.closing:
            return
        if decoder.failure is not None:
            self.closing = True
            self.transport.write(close_frame(decoder.failure.close_code, decoder.failure.sentence))
            self.transport.loseConnection()
        elif decoder.close_code is not None:
            self.closing = True
            self.transport.write(close_frame(1000 if decoder.close_code == NO_CODE else decoder.close_code))
            self.transport.loseConnection()


class EchoOfText(Echo):
    text_as_binary = True


NEVER = {
    "12.*": "compression is never negotiated: pictures are already compressed, and each session would need memory",
    "13.*": "the same",
}
NO_TEXT = "text messages are refused with 1003, because VNC needs none"
TEXT = {
    "1.1.*": NO_TEXT,
    "3.[234]": NO_TEXT,
    "4.[12].[345]": NO_TEXT,
    "5.[345678]": NO_TEXT,
    "5.15": NO_TEXT,
    "5.18": NO_TEXT,
    "5.19": NO_TEXT,
    "5.20": NO_TEXT,
    "6.*": NO_TEXT,
    "7.1.[15]": NO_TEXT,
    "10.*": NO_TEXT,
}
NO_UTF8 = "the text is not UTF-8; not checked, because text is refused"
UTF8 = {
    "6.[34].*": NO_UTF8,
    "6.6.[13468]": NO_UTF8,
    "6.6.10": NO_UTF8,
    "6.8.*": NO_UTF8,
    "6.10.*": NO_UTF8,
    "6.11.5": NO_UTF8,
    "6.1[2345678].*": NO_UTF8,
    "6.19.*": NO_UTF8,
    "6.2[01].*": NO_UTF8,
}


class FrameEngine(TestCase):
    timeout = 300

    async def verdicts(self, kind: Any, *more: str) -> dict[str, Verdict]:
        factory = Factory.forProtocol(kind)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"ws://127.0.0.1:{port.getHost().port}/"
        return await run_cases(url, Path(self.mktemp()), ("*",), (*NEVER, *more))

    async def test_all_with_text_taken_for_binary(self) -> None:
        verdicts = await self.verdicts(EchoOfText)
        self.assertEqual(unexpected(verdicts, UTF8), [])
        self.assertEqual(len(verdicts), 301)

    async def test_all_as_they_are(self) -> None:
        verdicts = await self.verdicts(Echo, "9.*")  # big messages are in the other test
        self.assertEqual(unexpected(verdicts, TEXT, 1003), [])
        self.assertEqual(len(verdicts), 247)


class OneByOne:
    """Send each frame of a case only when the echo of all whole messages before it has come back.

    A case that ends with a violation expects the echo of the message before it.  Through a proxy the echo comes from
    another connection, so without this it would race with the end of the session.
    """

    def __init__(self, write: Any) -> None:
        self._write = write
        self._frames = Frames()
        self._waiting: list[tuple[bytes, bool]] = []
        self._missing = 0
        self._counts = self._whole = True

    def send(self, data: bytes) -> None:
        self._waiting += [(piece, begins) for piece, begins, _ in self._frames.cut(data)]
        self._go_on()

    def echoed(self, piece: bytes, begins: bool) -> None:
        self._missing -= len(piece) - (self._frames.header(piece) if begins else 0)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting:
            piece, begins = self._waiting[0]
            if begins and self._whole and self._missing > 0:
                return
            del self._waiting[0]
            if begins:
                self._counts = piece[0] & 0x0F < CLOSE
                self._whole = bool(piece[0] & 0x80) if self._counts else self._whole
            if self._counts:
                self._missing += len(piece) - (self._frames.header(piece) if begins else 0)
            self._write(piece)


class Shim(Protocol):
    """Relays between a case and the proxy, after an RFB handshake with the proxy."""

    def __init__(self, proxy: int, text_as_binary: bool) -> None:
        self.proxy, self.text_as_binary = proxy, text_as_binary

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.near = Raw()
        self.near.makeConnection(self.transport)
        self.dataReceived = self.near.dataReceived  # type: ignore[method-assign]
        Deferred.fromCoroutine(self.introduce()).addErrback(lambda _: self.transport.abortConnection())

    async def introduce(self) -> None:
        head = await self.near.until(b"\r\n\r\n")
        far = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.proxy).connect(Factory.forProtocol(Raw))
        far.transport.setTcpNoDelay(True)
        self.far = far
        far.write(head)
        answer = await far.until(b"\r\n\r\n")
        await introduce(WebSocket(far))
        text, back, frames = TextAsBinary(), Frames(), OneByOne(far.write)

        def to_proxy(data: bytes) -> None:
            if self.text_as_binary:
                frames.send(text.changed(data))
            else:
                far.write(data)  # text is refused, so nothing is echoed

        counts = False

        def to_case(data: bytes) -> None:
            nonlocal counts
            for piece, begins, _ in back.cut(data):
                if begins:
                    counts = piece[0] & 0x0F < CLOSE
                    if piece[0] == 0x82 and any(text.messages):
                        piece = b"\x81" + piece[1:]
                self.transport.write(piece)
                if counts:
                    frames.echoed(piece, begins)

        self.transport.write(answer)
        self.dataReceived, far.dataReceived = to_proxy, to_case  # type: ignore[method-assign]
        far.gone.addCallback(lambda _: self.transport.loseConnection())
        to_proxy(bytes(self.near.buffer))
        to_case(bytes(far.buffer))
        if self.near.lost:
            far.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self.near.connectionLost(reason)
        if hasattr(self, "far"):
            self.far.transport.loseConnection()


class ThroughTheProxy(TestCase):
    """Groups 2, 3, 4 and 7.  A message may be echoed as several messages."""

    timeout = 300

    def listen(self, factory: Factory) -> int:
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def verdicts(self, text_as_binary: bool) -> dict[str, Verdict]:
        server = self.listen(FakeVNCServer(echo=True))

        async def authorise(token: str, console_type: str, address: str) -> ConnectInfo:
            return ConnectInfo(host="127.0.0.1", port=server)

        settings = SessionSettings(shield=False)  # an echo is not a VNC server, and what the cases send is not RFB
        front = NoVNCProxyFactory(reactor, authorise, settings=settings)
        self.addCleanup(front.stop_sessions)
        proxy = self.listen(front)
        shim = self.listen(Factory.forProtocol(lambda: Shim(proxy, text_as_binary)))
        url = f"ws://127.0.0.1:{shim}/?token=t"
        # The verdict of the last four cases depends on whether a message that arrives in parts is echoed in parts,
        # which a relay may do: 7.1.5 closes within a message and expects no echo, the others send byte by byte.
        return await run_cases(
            url, Path(self.mktemp()), ("2.*", "3.*", "4.*", "7.*"), ("7.1.5", "3.4", "4.1.5", "4.2.5")
        )

    async def test_with_text_taken_for_binary(self) -> None:
        verdicts = await self.verdicts(True)
        self.assertEqual(unexpected(verdicts, {}), [])
        self.assertEqual(len(verdicts), 61)

    async def test_as_they_are(self) -> None:
        verdicts = await self.verdicts(False)
        exceptions = {glob: why for glob, why in TEXT.items() if glob[0] in "2347"}
        self.assertEqual(unexpected(verdicts, exceptions, 1003), [])
        self.assertEqual(len(verdicts), 61)
