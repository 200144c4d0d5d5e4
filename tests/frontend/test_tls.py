"""TLS and the PROXY protocol at the front, with real OpenSSL on loopback."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred

from novnc_twisted.access.forwarded import networks
from novnc_twisted.events import RequestRefused
from novnc_twisted.frontend.tls import BadTLS, FrontTLS
from novnc_twisted.relay import StreamEnd
from tests.frontend.tls_case import OTHER, OURS, TLSCase, client_tls, proxy_header
from tests.session.harness import HANDSHAKE, TOKEN, introduce
from tests.support.observed import only
from tests.support.pki import CA, CLIENT


class SessionTests(TLSCase):
    async def test_the_page(self) -> None:
        self.novnc()
        self.assertIn(b"200 OK", await self.page())

    async def test_a_session_by_wss(self) -> None:
        """Data in both directions, with autobahn's client.  The detached relay is not used, because it has no TLS."""
        self.novnc(base_url="https://localhost/vnc_auto.html")
        client = await self.autobahn()
        self.assertEqual(await introduce(client), (64, 48, "myserver20"))
        connection = await self.server.live.get()
        client.write(b"\6\0\0\0" + (300_000).to_bytes(4, "big") + bytes(300_000))
        self.assertEqual(len((await connection.inbox.get())[1]), 300_008)
        self.assertFalse(self.viewer_end().can_leave())
        self.assertIsNone(self.viewer_end()._side)
        client.sendClose(1000)
        self.assertEqual((await client.closed)[:2], (True, 1000))
        await self.all_over()

    async def test_back_pressure(self) -> None:
        """Less than 512 KiB are buffered for a viewer that does not read."""
        amount = 4 << 20
        self.novnc()
        client = await self.autobahn()
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

    async def test_xvp(self) -> None:
        """TLS, then CONNECT, as the Java viewer does with an https:// link; also a refusal."""
        self.xvp()
        client = await self.client()
        client.write(f"CONNECT /console?token={TOKEN} HTTP/1.0\r\n\r\n".encode())
        self.assertEqual(await client.until(b"\r\n\r\n"), b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(await introduce(client), (64, 48, "myserver20"))
        refused = await self.client()
        refused.write(b"CONNECT /console?token=wrong HTTP/1.0\r\n\r\n")
        self.assertTrue((await refused.everything()).startswith(b"HTTP/1.1 401 "))

    async def test_plain_and_tls_on_one_port(self) -> None:
        """A plain session still uses the detached relay."""
        self.novnc()
        self.assertIn(b"200 OK", await self.page(plain=True))
        self.assertIn(b"200 OK", await self.page())
        viewer = await self.upgraded(plain=True)
        await introduce(viewer)
        await self.server.live.get()
        self.assertIsNotNone(self.viewer_end()._side)

    async def test_tls_only(self) -> None:
        self.how = {"tls_only": True}
        self.novnc()
        self.assertIn(b"200 OK", await self.page())
        self.assertTrue((await self.page(plain=True)).startswith(b"HTTP/1.1 400 This port takes TLS only"))
        self.assertEqual(self.asked, [])

    async def test_who_never_shakes_hands_is_cut(self) -> None:
        events: list[RequestRefused] = []
        self.novnc(settings=self.settings(tls_deadline=0.1), observer=only(RequestRefused, events))
        for data in (b"\x16", b"\x16\x03\x01\x02\x00\x01"):
            client = await self.client(plain=True)
            client.write(data)
            await client.gone
        self.assertEqual([event.cause for event in events], ["HeadTimeout", "HeadTimeout"])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_bytes_that_only_begin_like_a_handshake(self) -> None:
        events: list[RequestRefused] = []
        self.novnc(observer=only(RequestRefused, events))
        client = await self.client(plain=True)
        client.write(b"\x16" + b"\xff" * 100_000)
        await client.gone
        self.assertEqual([event.cause for event in events], ["TLSFailed"])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_time_runs_from_accept(self) -> None:
        """The session gets the time of accept."""
        self.novnc()
        begun: list[float] = []
        self.patch(self.front.registry, "begin", lambda viewer, accepted_at: begun.append(accepted_at))
        client = await self.client(plain=True)
        while not self.listener.waiting:
            pause: Deferred[None] = Deferred()
            reactor.callLater(0, pause.callback, None)
            await pause
        (waiting,) = self.listener.waiting
        client.write(HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode())
        await client.until(b"\r\n\r\n")
        self.assertEqual(begun, [waiting._began])

    async def test_stopping(self) -> None:
        """Sessions over TLS end with 1001, and waiting connections are closed."""
        self.novnc()
        client = await self.autobahn()
        await introduce(client)
        waiting = await self.client(plain=True)
        while not self.listener.waiting:
            pause: Deferred[None] = Deferred()
            reactor.callLater(0, pause.callback, None)
            await pause
        await self.listener.stop()
        await waiting.gone
        await self.front.stop_sessions()
        self.assertEqual((await client.closed)[:2], (True, 1001))


class RuleTests(TLSCase):
    """Which clients are admitted."""

    async def fails(self, **how: Any) -> None:
        """Check that a request gets no response."""
        self.assertEqual(await self.page(**how), b"")

    async def test_client_certificates(self) -> None:
        self.rules(client_ca=self.write("ca", OURS.pem))
        events: list[RequestRefused] = []
        self.novnc(observer=only(RequestRefused, events))
        right = OURS.issue(purpose=CLIENT, common_name="alice")
        self.assertIn(b"200 OK", await self.page(options=client_tls(cert=right)))
        await self.fails()
        await self.fails(options=client_tls(cert=OTHER.issue(purpose=CLIENT)))
        await self.fails(options=client_tls(cert=OURS.issue(purpose=CLIENT, days=(-2, -1))))
        await self.fails(options=client_tls(cert=OURS.issue("localhost")))  # a server certificate
        self.assertEqual([(event.cause, event.address) for event in events], [("TLSFailed", "127.0.0.1")] * 4)
        self.assertIn("peer did not return a certificate", events[0].detail)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_the_oldest_version(self) -> None:
        newest_2 = client_tls(lowerMaximumSecurityTo=ssl.TLSVersion.TLSv1_2)
        self.rules(minimum="tlsv1_2")
        self.novnc()
        self.assertIn(b"200 OK", await self.page(options=newest_2))
        self.rules(minimum="tlsv1_3")
        self.novnc()
        self.assertIn(b"200 OK", await self.page())
        await self.fails(options=newest_2)

    async def test_version_1_1(self) -> None:
        """It is refused by default."""
        old = client_tls(insecurelyLowerMinimumTo=ssl.TLSVersion.TLSv1_1, lowerMaximumSecurityTo=ssl.TLSVersion.TLSv1_1)
        self.novnc()
        await self.fails(options=old)

    async def test_ciphers(self) -> None:
        self.rules(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
        self.novnc()
        client = await self.client(options=client_tls(lowerMaximumSecurityTo=ssl.TLSVersion.TLSv1_2))
        client.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.until(b"\r\n")
        connection: Any = client.transport
        self.assertEqual(connection._tlsConnection.get_cipher_name(), "ECDHE-ECDSA-AES128-GCM-SHA256")

    async def test_an_unknown_version(self) -> None:
        """It does not become the default, which may permit an older version than intended."""
        error = self.assertRaises(BadTLS, FrontTLS, self.path("cert"), self.path("key"), minimum="tlsv1.3")
        self.assertEqual(str(error), "minimum: tlsv1.3 is not one of default, tlsv1_1, tlsv1_2, tlsv1_3")

    async def test_the_chain(self) -> None:
        """Intermediate certificates after ours are sent, too; key and certificates may be in one file."""
        between = CA("between", above=OURS)
        server = between.issue("localhost")
        both = self.write("both", server.cert + between.pem + server.key)
        self.tls = FrontTLS(both)
        self.novnc()
        self.assertIn(b"200 OK", await self.page())


class ProxyProtocolTests(TLSCase):
    """A load balancer that passes on TCP."""

    def setUp(self) -> None:
        super().setUp()
        self.how = {"proxies": networks(["127.0.0.1"])}

    async def test_the_client_address(self) -> None:
        """consoleauth gets the client's address, not the load balancer's, with and without TLS."""
        self.novnc()
        addresses = ["192.0.2.7", "2001:db8::7", "192.0.2.8", "2001:db8::8"] * 2
        ways = [(version, plain) for plain in (False, True) for version in (1, 1, 2, 2)]
        for address, (version, plain) in zip(addresses, ways, strict=True):
            viewer = await self.upgraded(header=proxy_header(version, address), plain=plain)
            self.assertEqual((await introduce(viewer))[2], "myserver20")
            self.assertEqual(self.asked[-1][2], address)

    async def test_xvp(self) -> None:
        self.xvp()
        client = await self.client(header=proxy_header(1, "192.0.2.7"))
        client.write(f"CONNECT /console?token={TOKEN} HTTP/1.0\r\n\r\n".encode())
        await client.until(b"\r\n\r\n")
        self.assertEqual(self.asked[-1][2], "192.0.2.7")

    async def test_no_header(self) -> None:
        self.novnc()
        self.assertEqual(await self.page(plain=True), b"")
        client = await self.client(plain=True)
        client.write(b"\x16\x03\x01\x00")
        self.assertEqual(await client.everything(), b"")

    async def test_not_from_others(self) -> None:
        """The header of an untrusted peer is not even read."""
        self.how = {"proxies": networks(["192.0.2.0/24"])}
        self.novnc()
        for version in (1, 2):
            self.assertEqual(await self.page(header=proxy_header(version, "192.0.2.7"), plain=True), b"")
        self.assertEqual(self.listener.waiting, set())

    async def test_no_header_is_believed_without_the_option(self) -> None:
        self.how = {}
        self.novnc()
        self.assertIn(b" 400 ", await self.page(header=proxy_header(1, "192.0.2.7"), plain=True))


class ReloadTests(TLSCase):
    """New connections use the new files."""

    async def test_a_session_lives_on(self) -> None:
        self.novnc()
        client = await self.autobahn()
        await introduce(client)
        connection = await self.server.live.get()
        server = OTHER.issue("localhost")
        self.write("cert", server.cert)
        self.write("key", server.key)
        self.tls.reload()
        self.assertIn(b"200 OK", await self.page(options=client_tls(OTHER)))
        client.write(b"\4\1\0\0\0\0\0x")
        self.assertEqual((await connection.inbox.get())[0], 4)

    async def test_bad_files(self) -> None:
        """The old files stay in use."""
        self.novnc()
        for name, data in (("cert", b"none"), ("key", OTHER.issue("localhost").key)):
            kept = Path(self.path(name)).read_bytes()
            self.write(name, data)
            self.assertRaises(BadTLS, self.tls.reload)
            self.assertIn(b"200 OK", await self.page())
            self.write(name, kept)


class OrderTests(TLSCase):
    """Data arrive complete and in order."""

    async def test_much_and_little(self) -> None:
        """The viewer does not read at first."""
        self.novnc()
        client = await self.autobahn()
        await introduce(client)
        connection = await self.server.live.get()
        pieces = [bytes([n % 251]) * (1 + 7919 * n % 150_000) for n in range(120)]
        client.transport.pauseProducing()
        for piece in pieces:
            connection.transport.write(piece)
        client.transport.resumeProducing()
        expected = b"".join(pieces)
        self.assertTrue(await client.read(len(expected)) == expected)
