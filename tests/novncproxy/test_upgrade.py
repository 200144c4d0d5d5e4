"""Checks before the upgrade, and request heads that are late, too long or malformed."""

from twisted.internet.defer import Deferred

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, introduce, refused
from tests.support.held_time import HeldTime

PROPER = (
    ("Host", "h:6080"),
    ("Upgrade", "websocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)


def request(*more: tuple[str, str], without: str = "", line: str = "GET /?token=wrong HTTP/1.1") -> bytes:
    fields = [pair for pair in PROPER if pair[0] != without and pair[0] not in [name for name, _ in more]]
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in (*fields, *more)), "", ""]).encode("latin-1")


class Upgrade(FrontCase):
    async def answer(self, head: bytes) -> int:
        """The status of the response; sessions may still be live."""
        client = await self.raw()
        client.write(head)
        answer = await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await client.gone
        return int(answer.split()[1])

    async def status(self, head: bytes) -> int:
        status = await self.answer(head)
        await self.all_over()
        return status

    async def test_bad_handshakes_are_400(self) -> None:
        self.novnc()
        for head in (
            request(without="Host"),
            request(("Host", "a"), ("Host", "b")),
            *(request(("Host", host)) for host in ("", "h/x", "x@h", "<h>", "h h", "h:port", "[h]", "http://h")),
            request(without="Connection"),
            request(without="Sec-WebSocket-Version"),
            request(without="Sec-WebSocket-Key"),
            request(without="Upgrade"),
            request(("Upgrade", "\xa0websocket")),
            request(("Connection", "keep-alive,\xa0Upgrade")),
            request(("Sec-WebSocket-Key", PROPER[3][1] + "\xa0")),
            request(("Sec-WebSocket-Version", "8")),
            request(("Sec-WebSocket-Version", "x")),
            request(("Sec-WebSocket-Version", "013")),
            request(("Sec-WebSocket-Version", "1_3")),
            request(("Sec-WebSocket-Key", "short")),
            request(("Sec-WebSocket-Key", "a" * 24)),
            request(("Sec-WebSocket-Key", PROPER[3][1]), ("Sec-WebSocket-Key", PROPER[3][1])),
            request(line="POST / HTTP/1.1"),
            request(line="GET / HTTP/1.0"),
            request(line="GET / HTTP/2.0"),
            request(line="nonsense"),
            request(("Sec-WebSocket-Protocol", "binary, binary")),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ):
            self.assertEqual(await self.status(head), 400, head)
        self.assertEqual(self.asked, [])

    async def test_extensions_are_declined_unread(self) -> None:
        """RFC 7692, section 5.1, and RFC 6455, section 9.1: a server may decline any offer, valid or not."""
        self.novnc()
        for offers in (
            ("permessage-deflate; client_max_window_bits=8",),
            ("permessage-deflate; client_max_window_bits=15; server_max_window_bits=8",),
            ("permessage-deflate; client_no_context_takeover; client_no_context_takeover",),
            ("permessage-deflate, x-webkit-deflate-frame", "permessage-bzip2; compress_level=99"),
            ("",),
            (";=,\xe9",),
        ):
            client = await self.raw()
            client.write(request(*(("Sec-WebSocket-Extensions", offer) for offer in offers)))
            answer = await client.until(b"\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), offers)
            self.assertNotIn(b"extensions", answer.lower())
            client.transport.abortConnection()
            await client.gone
            await self.all_over()

    async def test_absolute_form(self) -> None:
        """RFC 9112, section 3.2.2: its authority replaces Host, also in the check of the Origin."""
        self.novnc()
        line = f"GET http://h:6080/websockify?token={TOKEN} HTTP/1.1"
        self.assertEqual(await self.status(request(("Host", "proxy"), ("Origin", "http://h"), line=line)), 101)
        self.assertEqual(await self.status(request(("Host", "proxy"), ("Origin", "http://proxy"), line=line)), 403)
        self.assertEqual(self.asked, [(TOKEN, "novnc", "127.0.0.1")])

    async def test_origins(self) -> None:
        self.novnc(allowed_origins=("portal", "fd00::1"))
        for values, status in (
            ([], 101),
            (["http://h"], 101),
            (["http://h:1"], 101),
            (["http://portal"], 101),
            (["http://[fd00::1]:8080"], 101),
            (["https://h"], 403),
            (["http://evil"], 403),
            (["null"], 403),
            ([""], 403),
            (["http://h", "http://h"], 400),
        ):
            fields = [("Origin", value) for value in values]
            self.assertEqual(await self.status(request(*fields)), status, values)
        self.assertEqual(self.front.upgrades.allowed_origins, ("portal", "fd00::1"))

    async def test_a_poisoned_host_is_not_remembered(self) -> None:
        """nova bug 2158919."""
        self.novnc()
        self.assertEqual(await self.status(request(("Host", "evil"), ("Origin", "http://evil"))), 101)
        self.assertEqual(await self.status(request(("Origin", "http://evil"))), 403)

    async def test_x_forwarded_proto_of_a_trusted_proxy_only(self) -> None:
        self.novnc(trusted_proxies=("127.0.0.0/8",), settings=self.settings(max_failures_per_minute=0))
        forwarded = ("X-Forwarded-Proto", "https")
        self.assertEqual(await self.status(request(forwarded, ("Origin", "https://h"))), 101)
        self.assertEqual(await self.status(request(forwarded, ("Origin", "http://h"))), 403)
        secure = ("X-Forwarded-Proto", "wss")
        self.assertEqual(await self.status(request(secure, ("Origin", "https://h"))), 101, "some send this scheme")
        for listed in ("https, http", "", "javascript"):
            odd = ("X-Forwarded-Proto", listed)
            self.assertEqual(await self.status(request(odd, ("Origin", "https://h"))), 403, "that of the base URL")
            self.assertEqual(await self.status(request(odd, ("Origin", "http://h"))), 101)
        self.novnc()
        self.assertEqual(await self.status(request(forwarded, ("Origin", "https://h"))), 403)

    async def test_x_forwarded_for_of_a_trusted_proxy(self) -> None:
        self.novnc(trusted_proxies=("127.0.0.1",))
        await self.status(request(("X-Forwarded-For", "203.0.113.1, 198.51.100.7")))
        self.novnc()
        await self.status(request(("X-Forwarded-For", "203.0.113.1")))
        self.assertEqual([asked[2] for asked in self.asked], ["198.51.100.7", "127.0.0.1"])

    async def test_a_head_over_16_kib_is_431(self) -> None:
        self.novnc()
        self.assertEqual(await self.status(b"GET /?" + b"x" * 16400), 431)
        self.assertEqual(await self.status(b"GET / HTTP/1.1\r\nX: " + b"x" * (2 << 20)), 431)
        self.assertEqual(await self.status(request(("X-Padding", "x" * 15000))), 101)

    async def test_too_many_failures_are_429(self) -> None:
        """Above the limit, only one token of an address is checked at a time; other requests get 429 meanwhile."""
        answers: list[Deferred[ConnectInfo]] = []

        async def authorise(token: str, *_: str) -> ConnectInfo:
            if token == "wrong":
                raise errors.InvalidToken("unknown")
            answers.append(Deferred())
            return await answers[-1]

        self.novnc(authorise, settings=self.settings(max_failures_per_minute=2))
        self.assertEqual([await self.status(request()) for _ in range(2)], [101, 101])
        held = await self.websocket("/?token=held")
        other = request(line="GET /?token=other HTTP/1.1")
        self.assertEqual([await self.answer(other), await self.answer(request())], [429, 429])
        self.assertEqual(len(answers), 1, "no further token was checked")
        answers[0].callback(await self.authorise(TOKEN, "novnc", "127.0.0.1"))
        await introduce(held)
        good = await self.websocket("/?token=good")
        answers[1].callback(await self.authorise(TOKEN, "novnc", "127.0.0.1"))
        await introduce(good)

    async def test_a_viewer_that_leaves_ends_its_check(self) -> None:
        """Then the next token of this address is checked; also after the token deadline, if the viewer stays."""
        self.novnc(lambda *_: Deferred(), settings=self.settings(max_failures_per_minute=1, token_deadline=0.1))
        self.front.failures.count("127.0.0.1")
        held = await self.websocket("/?token=held")
        held.raw.transport.abortConnection()
        await self.all_over()
        late = await self.websocket("/?token=late")
        await refused(late)
        self.assertEqual(await self.answer(request()), 101)

    async def test_what_is_no_guess(self) -> None:
        """Requests that a web page can make its visitor's browser send, and requests without a token, never count."""
        self.novnc(settings=self.settings(max_failures_per_minute=1))
        for head in (
            request(("Origin", "http://evil")),
            request(("Origin", "null")),
            request(without="Host"),
            request(without="Sec-WebSocket-Key"),
            request(("Host", "a"), ("Host", "b")),
            b"POST /?token=x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
            b"nonsense\r\n\r\n",
            b"GET /" + b"x" * 20000,
            request(line="GET / HTTP/1.1"),
            request(line="GET /?token= HTTP/1.1"),
        ):
            await self.status(head)
        self.assertEqual((len(self.front.failures), self.asked), (0, []))

    async def test_what_is_a_guess(self) -> None:
        """A token that is unknown or expired (both raise InvalidToken), too long, or of another console type."""

        async def authorise(token: str, *_: str) -> ConnectInfo:
            raise errors.ConsoleForbidden("xvpvnc") if token == "other" else errors.InvalidToken("unknown")

        self.novnc(authorise, settings=self.settings(max_failures_per_minute=3))
        for token in ("wrong", "other", "x" * 300):
            self.assertFalse(self.front.failures.too_many("127.0.0.1"), token)
            await self.status(request(line=f"GET /?token={token} HTTP/1.1"))
        self.assertTrue(self.front.failures.too_many("127.0.0.1"))

    async def test_guesses_count_while_the_viewer_does_not_read(self) -> None:
        """Otherwise a thousand simultaneous guesses would pass the limit."""
        self.novnc(settings=self.settings(max_failures_per_minute=2))
        for _ in range(2):
            await self.websocket("/?token=wrong")
        self.assertTrue(self.front.failures.too_many("127.0.0.1"))

    async def test_good_connections_are_not_counted(self) -> None:
        self.novnc(settings=self.settings(max_failures_per_minute=1))
        for _ in range(3):
            viewer = await self.websocket()
            await introduce(viewer)
            viewer.raw.transport.abortConnection()
            await self.all_over()

    async def test_where_the_token_comes_from(self) -> None:
        self.novnc()
        for path, more in (
            ("/any/path?token=a&token=b", ""),
            ("/websockify?token=", "Cookie: x=y; ?=!; token=b; z\r\n"),
            ("/", "Cookie: token=b\r\n"),
        ):
            viewer = await self.websocket(path, more)
            await refused(viewer)
            await viewer.until_closed()
        self.assertEqual([asked[0] for asked in self.asked], ["b", "b", "b"])

    async def test_subprotocols(self) -> None:
        self.novnc()
        for offered, chosen in (("binary", b"binary"), ("base64, binary", b"binary"), ("chat", None), (None, None)):
            client = await self.raw()
            client.write(request(*([("Sec-WebSocket-Protocol", offered)] if offered else [])))
            head = await client.until(b"\r\n\r\n")
            self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
            self.assertNotIn(b"Server:", head)
            if chosen:
                self.assertIn(b"Sec-WebSocket-Protocol: binary\r\n", head)
            else:
                self.assertNotIn(b"Sec-WebSocket-Protocol", head)

    async def test_no_compression_is_negotiated(self) -> None:
        self.novnc()
        client = await self.raw()
        client.write(request(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, constructor")))
        head = await client.until(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101"))
        self.assertNotIn(b"Extensions", head)

    async def test_a_second_request_behind_the_first_is_no_second_handshake(self) -> None:
        """Its bytes are read as an invalid frame."""
        self.novnc()
        client = await self.raw()
        client.write(HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode() * 2)
        answer = await client.everything()
        self.assertEqual(answer.count(b"101 Switching"), 1)
        self.assertIn(b"\x88", answer)
        self.assertEqual((await self.ended())["cause"], "ProtocolViolation")

    async def test_late_heads(self) -> None:
        time = HeldTime()
        self.novnc_on(time)
        read = self.heads()
        silent, slow = await self.raw(), await self.raw()
        slow.write(b"GET / HT")
        await read.get()
        time.spend(self.settings().head_deadline)
        self.assertEqual(await silent.everything(), b"")
        self.assertTrue((await slow.everything()).startswith(b"HTTP/1.1 408 "))

    async def test_health_checks_make_no_noise(self) -> None:
        self.novnc()
        before = len(self.events)
        for data in (b"", b"\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01"):
            client = await self.raw()
            if data:
                client.write(data)
            client.transport.abortConnection()
            await client.gone
        client = await self.raw()
        client.write(b"GET / HTTP/1.0\r\n\r\n")
        await client.everything()
        self.assertEqual([event for event in self.events[before:] if event.get("log_level")], [])

    async def test_a_foreign_origin_is_logged_without_its_token(self) -> None:
        self.novnc()
        await self.status(request(("Origin", f"http://evil/?token={TOKEN}")))
        self.assertIn("evil", self.log_text())
        self.assertNotIn(TOKEN, self.log_text())

    async def test_a_token_never_reaches_a_log_even_at_debug_level(self) -> None:
        self.novnc()
        viewer = await self.websocket()
        await introduce(viewer)
        viewer.raw.transport.abortConnection()
        await self.all_over()
        self.assertNotIn(TOKEN, self.log_text())
        self.assertEqual(errors.ClientLeft.__name__, (await self.ended_record())["cause"])

    async def ended_record(self) -> dict[str, object]:
        return next(event for event in self.events if event.get("event") == "session")
