"""autobahn's WebSocket client at the noVNC port, without TLS and with real TLS."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from novnc_twisted import errors
from novnc_twisted.relay import StreamEnd
from tests.session.harness import TOKEN, FrontCase, Raw, introduce, refused
from tests.support.autobahn_client import Client, connect


def certificate() -> ssl.PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return ssl.PrivateCertificate.loadPEM(pem + built.public_bytes(serialization.Encoding.PEM))


class Plain(FrontCase):
    scheme = "ws"

    async def connect(self, token: str = TOKEN) -> Client:
        url = f"{self.scheme}://localhost:{self.front_port}/?token={token}"
        return await connect(url, self.endpoint())

    def endpoint(self) -> Any:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.front_port)

    async def test_a_session(self) -> None:
        self.novnc()
        client = await self.connect()
        self.assertEqual(await introduce(client), (64, 48, "myserver20"))
        connection = await self.server.live.get()
        client.write(b"\6\0\0\0" + (300_000).to_bytes(4, "big") + bytes(300_000))
        self.assertEqual(len((await connection.inbox.get())[1]), 300_008)
        client.sendClose(1000)
        self.assertEqual((await client.closed)[:2], (True, 1000))
        await self.all_over()

    async def test_a_refusal(self) -> None:
        self.novnc()
        client = await self.connect("wrong")
        await refused(client)
        self.assertEqual(await client.closed, (True, 4401, errors.InvalidToken.sentence))

    async def test_stopping(self) -> None:
        self.novnc()
        client = await self.connect()
        await introduce(client)
        await self.front.stop_sessions()
        self.assertEqual(await client.closed, (True, 1001, errors.Stopping.sentence))

    async def test_the_server_ends_it_after_much(self) -> None:
        self.novnc()
        client = await self.connect()
        await introduce(client)
        connection = await self.server.live.get()
        connection.transport.write(bytes(3_000_000))
        connection.transport.loseConnection()
        self.assertEqual(len(await client.read(3_000_000)), 3_000_000)
        self.assertEqual((await client.closed)[:2], (True, 4504))


class Encrypted(Plain):
    scheme = "wss"

    def setUp(self) -> None:
        super().setUp()
        self.certificate = certificate()

    def listen(self, factory: Any) -> int:
        if factory is self.server:
            return super().listen(factory)
        port = reactor.listenSSL(0, factory, self.certificate.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def endpoint(self) -> Any:
        options = ssl.optionsForClientTLS("localhost", ssl.trustRootFromCertificates([self.certificate]))
        return wrapClientTLS(options, super().endpoint())

    async def test_who_never_shakes_hands_is_cut(self) -> None:
        self.novnc(settings=self.settings(tls_deadline=0.1))
        silent, slow = await self.raw(), await self.raw()
        slow.write(b"\x16\x03\x01\x02\x00\x01")
        self.assertEqual((await silent.everything(), await slow.everything()), (b"", b""))

    async def test_the_heads_time_begins_after_tls(self) -> None:
        self.novnc(settings=self.settings(tls_deadline=60, head_deadline=0.1))
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        silent: Any = await self.endpoint().connect(factory)
        self.assertEqual(await silent.everything(), b"")

    async def test_a_viewer_that_does_not_read_costs_little(self) -> None:
        """Less than 512 KiB wait in the send buffers."""
        amount = 4 << 20
        self.novnc()
        client = await self.connect()
        await introduce(client)
        connection = await self.server.live.get()
        (session,) = self.front.registry
        stopped: Deferred[None] = Deferred()
        original = StreamEnd.pause_reading

        def pause_reading(end: StreamEnd) -> None:
            original(end)
            if end is session.upstream and not stopped.called:
                stopped.callback(None)

        self.patch(StreamEnd, "pause_reading", pause_reading)
        client.transport.pauseProducing()
        connection.transport.write(bytes(amount))
        await stopped
        tls = session.viewer.end.transport
        below = tls.transport
        waiting = sum(map(len, tls._appSendBuffer)) + len(below.dataBuffer) - below.offset + below._tempDataLen
        self.assertLess(waiting, 1 << 19)
        self.assertLess(session.upstream.bytes_in, amount)
        client.transport.resumeProducing()
        self.assertEqual(len(await client.read(amount)), amount)
