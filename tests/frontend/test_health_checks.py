"""Health checks of common tools: each succeeds without a token, and causes no log line."""

import socket
import struct

from twisted.internet.defer import DeferredQueue

from novnc_twisted.frontend.connection import FrontConnection
from tests.frontend.tls_case import TLSCase

USER_AGENT = "User-agent: osa-haproxy-healthcheck"

REQUESTS = {
    "kolla's container, healthcheck_curl http://IP:6080/vnc_lite.html": (
        "GET /vnc_lite.html HTTP/1.1\r\nHost: 10.0.0.11:6080\r\nUser-Agent: curl-healthcheck\r\nAccept: */*\r\n\r\n"
    ),
    "haproxy of openstack-ansible, option httpchk": f"HEAD /vnc.html HTTP/1.0\r\n{USER_AGENT}\r\n\r\n",
    "the same, http-check send": f"HEAD /vnc.html HTTP/1.1\r\nHost: 10.0.0.11\r\n{USER_AGENT}\r\n\r\n",
    "F5": "HEAD /vnc_auto.html HTTP/1.1\r\nHost: rpc\r\n\r\n",
}
"""The request of each tool; 200 is expected."""


class HealthCheckTests(TLSCase):
    def lines(self) -> list[object]:
        return [event for event in self.events if event.get("log_level")]

    async def test_requests(self) -> None:
        self.tls = None
        self.novnc()
        self.events.clear()
        for name, request in REQUESTS.items():
            client = await self.raw()
            client.write(request.encode())
            self.assertEqual((await client.until(b"\r\n"))[:12].split()[1], b"200", name)
            client.transport.abortConnection()
            await client.gone
        client = await self.raw()
        client.write(b"OPTIONS / HTTP/1.0\r\n\r\n")
        self.assertEqual(
            (await client.everything())[9:12], b"204", "haproxy's default check, which accepts all 2xx and 3xx"
        )
        self.assertEqual(self.lines(), [])

    async def test_a_check_that_ends_its_direction(self) -> None:
        """Like ``nc -N``, the client closes its sending side right after the request."""
        self.tls = None
        for kind in (self.novnc, self.xvp):
            kind()
            for request in (b"GET /healthz HTTP/1.0\r\n\r\n", b"OPTIONS * HTTP/1.0\r\n\r\n"):
                client = await self.raw()
                client.write(request)
                client.transport.loseWriteConnection()
                self.assertEqual((await client.everything())[9:10], b"2")

    async def test_connections(self) -> None:
        """kolla's haproxy connects, and resets the connection."""
        self.tls = None
        for kind in (self.novnc, self.xvp):
            kind()
            self.events.clear()
            client = await self.raw()
            client.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.transport.abortConnection()
            await client.gone
            self.assertEqual(self.lines(), [])

    async def test_tls(self) -> None:
        """TLS without a request, as with ``check ssl verify none`` of kolla's haproxy, and with one."""
        handshakes: DeferredQueue[None] = DeferredQueue()
        original = FrontConnection.handshakeCompleted

        def completed(connection: FrontConnection) -> None:
            original(connection)
            handshakes.put(None)

        self.patch(FrontConnection, "handshakeCompleted", completed)
        self.novnc()
        self.events.clear()
        for request in ("", next(iter(REQUESTS.values()))):
            client = await self.client()
            await handshakes.get()
            client.write(request.encode())
            if request:
                self.assertIn(b" 200 ", await client.until(b"\r\n"))
            client.transport.abortConnection()
            await client.gone
            for connection in list(self.front.connections):
                await connection.gone
        self.assertEqual(self.lines(), [])
