"""Test case of a proxy that accepts TLS."""

import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from novnc_twisted.frontend.listener import Listener
from novnc_twisted.frontend.tls import FrontTLS
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, WebSocket
from tests.support.autobahn_client import Client, connect
from tests.support.pki import CA, Credential

OURS, OTHER = CA(), CA("another CA")
SERVER = OURS.issue("localhost", "127.0.0.1")
BEGIN_2 = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_header(version: int, address: str) -> bytes:
    if version == 1:
        return f"PROXY TCP{'6' if ':' in address else '4'} {address} {address} 4711 6080\r\n".encode()
    packed = ip_address(address).packed
    addresses = packed + packed + struct.pack(">HH", 4711, 6080)
    return BEGIN_2 + struct.pack(">BBH", 0x21, 0x21 if ":" in address else 0x11, len(addresses)) + addresses


def client_tls(ca: CA = OURS, cert: Credential | None = None, **more: Any) -> Any:
    """A client's TLS options."""
    mine = None if cert is None else ssl.PrivateCertificate.loadPEM(cert.key + cert.cert)
    return ssl.optionsForClientTLS(
        "localhost",
        ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(ca.pem)]),
        clientCertificate=mine,
        extraCertificateOptions=more or None,
    )


class Announced:
    """An endpoint for connections that begin with a PROXY header."""

    def __init__(self, endpoint: Any, header: bytes) -> None:
        self._endpoint, self._header = endpoint, header

    def connect(self, factory: Any) -> Any:
        header = self._header

        class Announcing(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Any:
                protocol = factory.buildProtocol(addr)
                original = protocol.makeConnection

                def make(transport: Any) -> None:
                    transport.write(header)
                    original(transport)

                protocol.makeConnection = make
                return protocol

        return self._endpoint.connect(Announcing())


class TLSCase(FrontCase):
    """A front behind a listener."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.write("cert", SERVER.cert)
        self.write("key", SERVER.key)
        self.how: dict[str, Any] = {}
        self.tls: FrontTLS | None = FrontTLS(self.path("cert"), self.path("key"))

    def path(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def write(self, name: str, data: bytes) -> str:
        Path(self.path(name)).write_bytes(data)
        return self.path(name)

    def listen(self, factory: Any) -> int:
        if factory is self.server:
            return super().listen(factory)
        self.listener = Listener(reactor, factory, tls=self.tls, **self.how)
        self.addCleanup(self.listener.stop)
        return super().listen(self.listener)

    def rules(self, **rules: Any) -> None:
        self.tls = FrontTLS(self.path("cert"), self.path("key"), **rules)

    def endpoint(self, options: Any = None, header: bytes = b"", plain: bool = False) -> Any:
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.front_port)
        if header:
            endpoint = Announced(endpoint, header)
        return endpoint if plain else wrapClientTLS(options or client_tls(), endpoint)

    async def client(self, **how: Any) -> Raw:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        client: Any = await self.endpoint(**how).connect(factory)

        async def leave() -> None:
            if not client.lost:
                client.transport.abortConnection()
            await client.gone

        self.addCleanup(leave)
        return client  # type: ignore[no-any-return]

    async def page(self, **how: Any) -> bytes:
        """The head of the response, if there is one."""
        client = await self.client(**how)
        client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return (await client.everything()).partition(b"\r\n\r\n")[0]

    async def autobahn(self) -> Client:
        return await connect(f"wss://localhost:{self.front_port}/?token={TOKEN}", self.endpoint())

    async def upgraded(self, **how: Any) -> WebSocket:
        client = await self.client(**how)
        client.write(HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode())
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return WebSocket(client)

    def viewer_end(self) -> Any:
        (session,) = self.front.registry
        return session.viewer.end
