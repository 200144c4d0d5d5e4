"""The examples of the documents: the programs run, and the bytes are those that the code sends."""

import re
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import InstanceNotRunning, InvalidToken
from novnc_twisted.messaging import transport_from_url
from novnc_twisted.messaging.redis.acl import Identity, rules
from novnc_twisted.rfb import HandshakeDriver, ServerInit, login, offer, refuse
from tests.support.redis_server import RedisServer
from tests.support.vnc_server import FakeVNCServer
from tests.test_docs import DOCS
from tests.test_docs_build import ENVIRONMENT, run

COMMAND = re.compile(r"\+[a-z|]+")
"""Matches the commands that an ACL permits."""


class Bytes(TestCase):
    """The bytes in docs/walk.rst are those that the code sends and accepts."""

    PIXEL_FORMAT = bytes(range(16))

    def setUp(self) -> None:
        walk = (DOCS / "walk.rst").read_text()
        blocks = re.findall(r"::\n\n((?:    .*\n)*    [SPC]  .*\n(?:    .*\n)*)", walk)
        self.upstream, self.client, self.refusal = (self.read(block) for block in blocks)

    def read(self, block: str) -> list[tuple[str, bytes]]:
        """Return (sender, bytes) pairs; a line without a sender's letter continues the line before."""
        messages: list[tuple[str, bytes]] = []
        for line in block.splitlines():
            sender, rest = line[4], line[7:].replace("PIXEL-FORMAT", self.PIXEL_FORMAT.hex(" "))
            shown = re.match(r"(?:[0-9a-f]{2} +)*[0-9a-f]{2}(?= |$)", rest)
            data = bytes.fromhex(shown[0]) if shown else rest.encode()
            if sender != " ":
                messages.append((sender, data))
            else:
                messages[-1] = (messages[-1][0], messages[-1][1] + data)
        return messages

    def play(self, handshake: HandshakeDriver[Any], messages: list[tuple[str, bytes]], peer: str) -> None:
        handshake.start()
        for sender, data in messages:
            if sender == peer:
                handshake.receive(data)
            else:
                self.assertEqual(handshake.to_send(), data)
        self.assertIsNone(handshake.error)
        self.assertTrue(handshake.done)

    def test_both_handshakes(self) -> None:
        upstream = HandshakeDriver(login())
        self.play(upstream, self.upstream, "S")
        assert upstream.result is not None
        self.assertEqual((upstream.result.width, upstream.result.height), (720, 400))
        self.assertEqual(upstream.result.pixel_format, self.PIXEL_FORMAT)
        self.assertEqual(upstream.result.name, b"QEMU (myserver20)")
        *handshake, (_, init) = self.client
        self.play(HandshakeDriver(offer()), handshake, "C")
        self.assertEqual(init, ServerInit(720, 400, self.PIXEL_FORMAT, b"myserver20").encode())

    def test_a_refusal(self) -> None:
        self.play(HandshakeDriver(refuse(InstanceNotRunning.sentence)), self.refusal, "C")


class Output(ProcessProtocol):
    """The first line of output of a child process that keeps running."""

    def __init__(self) -> None:
        self.line: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._text = ""

    def outReceived(self, data: bytes) -> None:
        self._text += data.decode()
        if "\n" in self._text and not self.line.called:
            self.line.callback(self._text.splitlines()[0])

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        if not self.line.called:
            self.line.errback(AssertionError(self._text))
        self.ended.callback(None)


class Examples(TestCase):
    """The programs of docs/examples, as they stand."""

    timeout = 300

    async def server(self, **options: Any) -> tuple[FakeVNCServer, int]:
        server = FakeVNCServer(**options)
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
        self.addCleanup(port.stopListening)
        return server, port.getHost().port

    async def test_who_is_there(self) -> None:
        _, port = await self.server(password="secret", size=(640, 480), name=b"myserver20")
        secret = Path(self.mktemp()).absolute()
        secret.write_text("secret\n")
        answer = await run(str(DOCS / "examples" / "who_is_there.py"), f"127.0.0.1:{port}", str(secret))
        self.assertEqual(answer, ("640 x 480: myserver20\n", "", 0))

    async def test_bus_in_memory_and_over_redis(self) -> None:
        expected = "{'greeting': 'Hello, you'}\nInstanceNotFound: nobody to greet\nServiceUnavailable: "
        for words in ([], [RedisServer(self).url]):
            out, err, code = await run(str(DOCS / "examples" / "bus.py"), *words)
            self.assertEqual((err, code), ("", 0))
            self.assertTrue(out.startswith(expected), out)

    async def test_redis_user_may_do_what_the_services_do(self) -> None:
        """With ``redis-acl.conf``, a transport can do all that it needs; other keys and commands are forbidden.

        Redis also reads the lines of ``redis.conf``.
        """
        files = (DOCS / "examples" / name for name in ("redis.conf", "redis-acl.conf"))
        redis = RedisServer(self, options=tuple(line for file in files for line in file.read_text().splitlines()))
        url = redis.url.replace("//", "//novnc:redis-password@")
        caller, server = (transport_from_url(reactor, url) for _ in range(2))
        for transport in (caller, server):
            self.addCleanup(transport.stop)
            await transport.start()

        async def double(value: int) -> int:
            return 2 * value

        withdraw = await server.serve("t", {"double": double}, binary="nova-consoleauth", host="here")
        await server.announce("u", binary="nova-novncproxy", host="here")
        self.assertEqual(await caller.call("t", "double", value=21), 42)
        self.assertEqual([service.topic for service in await caller.services()], ["t", "u"])
        store = caller.store
        await store.put("a", {"b": 1}, 60, index="i")
        self.assertTrue(await store.put_new("c", {}, 60))
        self.assertEqual(await store.get("a"), {"b": 1})
        self.assertTrue(await store.extend("a", 100))
        self.assertEqual(await store.indexed("i"), ["a"])
        self.assertEqual(await store.get_many(["a", "x"]), [{"b": 1}, None])
        self.assertEqual(await store.remove("a", "c"), 2)
        await store.append("l", [{"d": 2}], 60)
        self.assertEqual([value for _, value in await store.newest("l")], [{"d": 2}])
        await store.join("g", "member", 60)
        self.assertEqual(await store.members("g", 60), ["member"])
        await store.leave("g", "member")
        await withdraw()
        with socket.create_connection(("127.0.0.1", redis.port), 5) as plain:
            stream = plain.makefile("rb")
            for words, answer in (
                (b"PING", b"-NOAUTH"),
                (b"AUTH novnc redis-password", b"+OK"),
                (b"GET elsewhere", b"-NOPERM"),
                (b"KEYS *", b"-NOPERM"),
                (b"MONITOR", b"-NOPERM"),
            ):
                plain.sendall(words + b"\r\n")
                self.assertTrue(stream.readline().startswith(answer), words)

    def test_redis_user_has_the_commands_of_all_roles(self) -> None:
        roles = ("api", "consoleauth", "proxy", "compute.one@192.0.2.1")
        needed = {word for role in roles for rule in rules(Identity.parse(role)) for word in COMMAND.findall(rule)}
        self.assertIn("+xadd", needed)
        allowed = COMMAND.findall((DOCS / "examples" / "redis-acl.conf").read_text().split("-@all", 1)[1])
        self.assertEqual(needed - set(allowed), set())

    async def test_links(self) -> None:
        server, port = await self.server(size=(640, 480), name=b"QEMU (x)")
        child = Output()
        words = [sys.executable, str(DOCS / "examples" / "links.py"), f"127.0.0.1:{port}"]
        process = reactor.spawnProcess(child, words[0], words, env=ENVIRONMENT, path="/")  # type: ignore[attr-defined]
        try:
            link = await child.line
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/vnc_auto\.html\?token=(\S+)", link)
            assert found is not None, link
            name = await deferToThread(name_or_reason, int(found[1]), found[2])
            self.assertEqual(name, b"example")
            await server.live.get()
            refused = await deferToThread(name_or_reason, int(found[1]), "another")
            self.assertEqual(refused, InvalidToken.sentence.encode())
        finally:
            process.signalProcess("TERM")
            await child.ended


def name_or_reason(port: int, token: str) -> bytes:
    """Return what a viewer with this token receives: the name in ServerInit, or the reason of its refusal."""
    with socket.create_connection(("127.0.0.1", port), 10) as viewer:
        viewer.sendall(
            f"GET /?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        stream = viewer.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        while stream.readline().strip():
            pass
        received = b""

        def read(count: int) -> bytes:
            nonlocal received
            while len(received) < count:
                head = stream.read(2)
                length = head[1] if head[1] < 126 else int.from_bytes(stream.read(2), "big")
                received += stream.read(length)
            taken, received = received[:count], received[count:]
            return taken

        def write(data: bytes) -> None:
            viewer.sendall(bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data)

        read(12)
        write(b"RFB 003.008\n")
        if read(1) == b"\0":
            return read(int.from_bytes(read(4), "big"))
        read(1)
        write(b"\1")
        read(4)
        write(b"\1")
        return read(int.from_bytes(read(24)[20:], "big"))
