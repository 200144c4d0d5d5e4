"""Connections before their session: the limits, which close silent ones first, and the events of refusals."""

from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.events import RequestRefused
from tests.novncproxy.test_upgrade import request
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, Raw, introduce
from tests.support.held_time import HeldTime
from tests.support.observed import only


class PeerTests(FrontCase):
    """The address of the client in the log."""

    async def test_ipv6(self) -> None:
        """The address is in brackets, so that the port is not read as a part of it."""
        port = reactor.listenTCP(0, self.novnc(), interface="::1")
        self.addCleanup(port.stopListening)
        factory = Factory.forProtocol(Raw)
        client = await TCP6ClientEndpoint(reactor, "::1", port.getHost().port).connect(factory)
        own = client.transport.getHost().port
        client.write(HANDSHAKE.format(path="/?token=unknown", more="").encode())
        await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await client.gone
        record = await self.ended()
        self.assertEqual((record["peer"], record["address"]), (f"[::1]:{own}", "::1"))


class SilentConnections(FrontCase):
    """Clients that only connect do not keep other clients out."""

    def setUp(self) -> None:
        super().setUp()
        self.limits = ConnectionLimits(10)

    def xvp_or_novnc(self, name: str) -> None:
        (self.novnc if name == "novnc" else self.xvp)(connection_limits=self.limits)

    async def live(self, name: str) -> Any:
        if name == "novnc":
            viewer: Any = await self.websocket()
        else:
            viewer = await self.raw()
            viewer.write(b"CONNECT /?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode())
            self.assertEqual(await viewer.read(19), b"HTTP/1.1 200 OK\r\n\r\n")
        await introduce(viewer)
        return await self.server.live.get(), viewer

    def test_a_connection_that_does_not_begin(self) -> None:
        """An error of this program releases its slot."""
        for make in (self.novnc, self.xvp):
            front: Any = make(connection_limits=self.limits)
            with mock.patch.object(front, "_protocol", side_effect=ZeroDivisionError):
                self.assertRaises(ZeroDivisionError, front.buildProtocol, None)
            self.assertEqual(len(self.limits), 0)
            front.buildProtocol(None).connectionLost()  # its transport can't be made
            self.assertEqual(len(self.limits), 0)

    async def test_one_address(self) -> None:
        """Each new connection of the address closes its oldest silent one; live sessions stay."""
        for name in ("novnc", "xvp"):
            self.xvp_or_novnc(name)
            first = [await self.raw() for _ in range(7)]
            connection, viewer = await self.live(name)
            for one in first[:3]:
                await one.gone
            silent = [await self.raw() for _ in range(20)]
            await silent[0].gone
            viewer.write(b"\4\1\0\0\0\0\0A")
            self.assertEqual(await connection.inbox.get(), (4, b"\4\1\0\0\0\0\0A"))
            await self.nothing_left()
            self.assertEqual(len(self.limits), 0)

    async def test_a_slow_head_is_silent_too(self) -> None:
        self.xvp_or_novnc("novnc")
        first = await self.raw()
        first.write(b"GET / HTTP/1.1\r\nHost: ")
        for _ in range(6):
            await self.raw()
        await first.gone

    async def test_sessions_of_one_address(self) -> None:
        """One address can use all slots: connections with a valid token do not count for its share."""
        self.xvp_or_novnc("novnc")
        viewers = [(await self.live("novnc"))[1] for _ in range(10)]
        late = await self.raw()
        self.assertEqual(await late.everything(), b"")
        viewers[0].raw.transport.abortConnection()
        await viewers[0].raw.gone
        await self.server.connections[0].gone
        await self.live("novnc")

    async def test_refused_ones_make_room(self) -> None:
        """A refused connection that its client does not close is closed for a new one."""
        self.xvp_or_novnc("novnc")
        refused = [await self.raw() for _ in range(5)]
        for one in refused:
            one.transport.loseConnection = lambda: None
            one.write(b"nonsense\r\n\r\n")
            await one.until(b"\r\n\r\n")
        await self.live("novnc")

    async def test_refused_sessions_make_room(self) -> None:
        """A session gets a slot although refused sessions from as many addresses as there are slots do not end."""
        self.xvp_or_novnc("novnc")
        for host in range(2, 12):
            client = await self.raw_from(f"127.0.0.{host}")
            client.write(request())
            await client.until(b"RFB 003.008\n")  # the proxy now waits for the version of the viewer
        self.assertEqual(len(self.limits), 10)
        await self.live("novnc")
        await self.nothing_left()
        self.assertEqual(len(self.limits), 0)

    async def raw_from(self, address: str) -> Any:
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.front_port, bindAddress=(address, 0))
        client: Any = await endpoint.connect(factory)

        async def leave() -> None:
            client.transport.abortConnection()
            await client.gone

        self.addCleanup(leave)
        return client

    async def test_slow_readers_of_the_page_make_room(self) -> None:
        """A session gets a slot although clients from as many addresses as there are slots do not read a file."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "big.js").write_bytes(bytes(32 << 20))
        self.novnc(connection_limits=self.limits, web=folder)
        for host in range(2, 12):
            slow = await self.raw_from(f"127.0.0.{host}")
            slow.write(b"GET /big.js HTTP/1.1\r\nHost: h\r\n\r\n")
            await slow.read(1)
            slow.transport.pauseProducing()
        self.assertEqual(len(self.limits), 10)
        await self.live("novnc")
        self.assertEqual(len(self.limits), 10)

    async def test_the_count_is_exact(self) -> None:
        """After pages, refusals and a session have ended, the count is 0."""
        self.xvp_or_novnc("novnc")
        for head in (
            b"GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\n\r\n",
            b"nonsense\r\n\r\n",
            request(("Origin", "http://evil")),
            request(),
        ):
            client = await self.raw()
            client.write(head)
            await client.until(b"\r\n\r\n")
            client.transport.abortConnection()
            await client.gone
        _, viewer = await self.live("novnc")
        viewer.raw.transport.abortConnection()
        await viewer.raw.gone
        await self.nothing_left()
        self.assertEqual(len(self.limits), 0)


class Events(FrontCase):
    """Every refusal before a session is an event with its cause, address and option; health checks cause no event."""

    def front_with_events(self, kind: Any, **values: Any) -> list[RequestRefused]:
        events: list[RequestRefused] = []
        kind(observer=only(RequestRefused, events), **values)
        return events

    async def send(self, *heads: bytes) -> None:
        for head in heads:
            client = await self.raw()
            client.write(head)
            await client.until(b"\r\n\r\n")
            client.transport.abortConnection()
            await client.gone
            await self.all_over()

    async def test_novnc(self) -> None:
        events = self.front_with_events(self.novnc)
        await self.send(
            request(without="Host"),
            request(without="Sec-WebSocket-Key"),
            request(("Origin", "http://h"), ("Origin", "http://h")),
            request(("Origin", "http://evil")),
            b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20000,
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n",
        )
        self.assertEqual(
            [(event.cause, event.status) for event in events],
            [
                *[("BadRequest", 400)] * 3,
                ("ForeignOrigin", 403),
                ("HeadTooBig", 431),
                ("BadRequest", 400),
            ],
        )
        self.assertEqual({(event.service, event.address) for event in events}, {("novncproxy", "127.0.0.1")})
        self.assertTrue(all(event.detail for event in events))
        foreign = events[3]
        self.assertEqual((foreign.option, foreign.severe), ("[console] allowed_origins", True))
        self.assertIn("http://evil", foreign.detail)

    async def test_the_client_behind_a_proxy(self) -> None:
        events = self.front_with_events(self.novnc, trusted_proxies=["127.0.0.1"])
        await self.send(request(("Origin", "http://evil"), ("X-Forwarded-For", "203.0.113.7:51008")))
        await self.send(request(("Origin", "http://evil"), ("X-Forwarded-For", "unix:")))
        self.assertEqual([event.address for event in events], ["203.0.113.7", "unknown"])
        self.assertIn("no valid client address: 'unix:'", self.log_text().replace("{value}", "unix:"))

    async def test_too_many_failures(self) -> None:
        events = self.front_with_events(self.novnc, settings=self.settings(max_failures_per_minute=1))
        self.front.failures.count("127.0.0.1")
        check = self.front.failures.begin_check("127.0.0.1")
        await self.send(request())
        ((event),) = events
        self.assertEqual((event.cause, event.status, event.address), ("TooManyFailures", 429, "127.0.0.1"))
        self.assertIn("at least 1 failed guesses of a token came from this address in a minute", event.detail)
        self.assertIn("[console] max_failures_per_minute", event.option)
        self.assertIn("trusted_proxies", event.option)
        check.end()

    async def test_xvp(self) -> None:
        events = self.front_with_events(self.xvp)
        await self.send(
            b"nonsense\r\n\r\n",
            b"POST /?token=x HTTP/1.0\r\n\r\n",
            b"GET /?token=x HTTP/1.0\r\nOrigin: http://evil\r\n\r\n",
            b"CONNECT /" + b"x" * 20000,
        )
        self.assertEqual([event.cause for event in events], ["BadRequest", "BadRequest", "Browser", "HeadTooBig"])
        self.assertEqual({(event.service, event.status) for event in events}, {("xvpvncproxy", 400)})

    async def test_late_heads(self) -> None:
        """An incomplete head is an event; a connection without a byte is a health check."""
        read = self.heads()
        for kind, status in ((self.novnc_on, 408), (self.xvp_on, 400)):
            time = HeldTime()
            events = self.front_with_events(partial(kind, time))
            silent, slow = await self.raw(), await self.raw()
            slow.write(b"GET / HT")
            await read.get()
            time.spend(self.settings().head_deadline)
            await silent.everything()
            await slow.everything()
            self.assertEqual([(event.cause, event.status) for event in events], [("HeadTimeout", status)])

    async def test_health_checks(self) -> None:
        for kind in (self.novnc, self.xvp):
            events = self.front_with_events(kind)
            before = len(self.events)
            await self.send(
                b"GET /healthz HTTP/1.0\r\n\r\n",
                b"HEAD /healthz HTTP/1.0\r\n\r\n",
                b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
                b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
                b"GET / HTTP/1.0\r\n\r\n",
            )
            for data in (b"", b"\r\n", b"GET / HT", b"\x16\x03\x01"):
                client = await self.raw()
                client.write(data)
                client.transport.abortConnection()
                await client.gone
            self.assertEqual(events, [])
            self.assertEqual([event for event in self.events[before:] if event.get("log_level")], [])
