"""Sessions through the XVP front, byte for byte as the Java viewer sees them."""

from twisted.internet.defer import Deferred

from novnc_twisted import errors
from tests.session.harness import TOKEN, FrontCase, introduce
from tests.support.held_time import HeldTime


class XVPSession(FrontCase):
    async def test_the_java_viewers_connect(self) -> None:
        self.xvp()
        viewer = await self.raw()
        viewer.write(b"CONNECT /console?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode())
        self.assertEqual(await viewer.read(19), b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(await introduce(viewer), (64, 48, "myserver20"))
        connection = await self.server.live.get()
        viewer.write(b"\4\1\0\0\0\0\0A")
        self.assertEqual(await connection.inbox.get(), (4, b"\4\1\0\0\0\0\0A"))
        self.assertEqual(self.asked, [(TOKEN, "xvpvnc", "127.0.0.1")])

    async def test_get_any_path_and_other_headers(self) -> None:
        self.xvp()
        viewer = await self.raw()
        viewer.write(b"GET /any/path?a=b&token=%s HTTP/1.1\nHost: x\nX-Y: z\n\n" % TOKEN.encode())
        self.assertEqual(await viewer.read(19), b"HTTP/1.1 200 OK\r\n\r\n")
        await introduce(viewer)

    async def refusal(self, request: bytes) -> bytes:
        viewer = await self.raw()
        viewer.write(request)
        answer = await viewer.until(b"\r\n\r\n")
        viewer.transport.loseConnection()
        await viewer.gone
        return answer

    def line(self, status: int, cause: type[errors.Refusal]) -> bytes:
        return f"HTTP/1.1 {status} {cause.sentence}\r\n\r\n".encode()

    async def test_refusals_are_status_lines(self) -> None:
        self.xvp()
        for request, status, cause in (
            (b"CONNECT /console HTTP/1.0\r\n\r\n", 400, errors.TokenMissing),
            (b"CONNECT /console?token= HTTP/1.0\r\n\r\n", 400, errors.TokenMissing),
            (b"CONNECT /console?token=x:5999 HTTP/1.0\r\n\r\n", 401, errors.InvalidToken),
            (b"CONNECT /console?token=%s HTTP/1.0\r\n\r\n" % (b"x" * 300), 401, errors.InvalidToken),
            (b"POST /console?token=x HTTP/1.0\r\n\r\n", 400, errors.ProtocolViolation),
            (b"\x16\x03\x01 hello\r\n\r\n", 400, errors.ProtocolViolation),
            (b"CONNECT /" + b"x" * 20000, 400, errors.MessageTooBig),
        ):
            self.assertEqual(await self.refusal(request), self.line(status, cause), request[:40])
        self.assertEqual(self.server.connections, [])

    async def test_health_checks(self) -> None:
        self.xvp()
        self.events.clear()
        for request, wanted in (
            (b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", (200, b"ok")),
            (b"GET http://h:6081/healthz HTTP/1.1\r\nHost: h\r\n\r\n", (200, b"ok")),
            (b"HEAD /healthz HTTP/1.0\r\n\r\n", (200, b"")),
            (b"OPTIONS / HTTP/1.0\r\n\r\n", (204, b"")),
            (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", (204, b"")),
        ):
            viewer = await self.raw()
            viewer.write(request)
            head, _, body = (await viewer.everything()).partition(b"\r\n\r\n")
            self.assertEqual((int(head.split()[1]), body), wanted, request)
            self.assertEqual(b"Allow: CONNECT, GET, HEAD, OPTIONS" in head, wanted[0] == 204)
        self.assertEqual((self.events, self.asked), ([], []))
        viewer = await self.raw()
        viewer.write(b"GET /healthz?token=%s HTTP/1.1\r\n\r\n" % TOKEN.encode())  # a console may have any path
        self.assertEqual(await viewer.read(19), b"HTTP/1.1 200 OK\r\n\r\n")

    async def test_an_unreachable_console_is_502(self) -> None:
        self.xvp()
        self.info = {"port": 1}
        self.assertEqual(
            await self.refusal(b"CONNECT /?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode()),
            self.line(502, errors.ConsoleUnreachable),
        )

    async def test_too_many_failures_are_429(self) -> None:
        """At the limit, an address is refused while another of its tokens is being checked."""
        asked: Deferred[None] = Deferred()

        async def never(*_: str) -> object:
            asked.callback(None)
            return await Deferred()

        self.xvp(never, settings=self.settings(max_failures_per_minute=1))
        self.front.failures.count("127.0.0.1")
        held = await self.raw()
        held.write(b"CONNECT /?token=held HTTP/1.0\r\n\r\n")
        await asked
        request = b"CONNECT /?token=%s HTTP/1.0\r\n\r\n" % TOKEN.encode()
        self.assertEqual(await self.refusal(request), self.line(429, errors.TooManyFailures))

    async def test_a_browser_is_refused_and_does_not_count(self) -> None:
        """Any web page can make a browser send such requests, and no user of noVNC needs this port."""
        self.xvp(settings=self.settings(max_failures_per_minute=1))
        for method in (b"GET", b"CONNECT", b"POST"):
            for field in (
                b"Origin: http://evil",
                b"origin: null",
                b"Origin:",
                b"Sec-Fetch-Site: none",
                b"SEC-FETCH-X: y",
            ):
                for token in (b"wrong", TOKEN.encode()):
                    request = b"%s /console?token=%s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n" % (method, token, field)
                    self.assertEqual(await self.refusal(request), self.line(400, errors.ProtocolViolation), request)
        self.assertEqual((len(self.front.failures), self.asked, self.server.connections), (0, [], []))

    async def test_what_is_no_guess(self) -> None:
        self.xvp(settings=self.settings(max_failures_per_minute=1))
        for request in (
            b"CONNECT /console HTTP/1.0\r\n\r\n",
            b"GET /console?token= HTTP/1.0\r\n\r\n",
            b"POST /console?token=x HTTP/1.0\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"CONNECT /" + b"x" * 20000,
        ):
            await self.refusal(request)
            await self.all_over()
        self.assertEqual(len(self.front.failures), 0)

    async def test_health_checks_leave_no_line(self) -> None:
        """Load balancers connect, or ask for any path without a token, every second."""
        self.xvp()
        before = len(self.events)
        for request in (b"HEAD / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"):
            self.assertEqual(await self.refusal(request), self.line(400, errors.TokenMissing))
        client = await self.raw()
        client.transport.abortConnection()
        await client.gone
        self.assertEqual([event for event in self.events[before:] if event.get("log_level")], [])

    async def test_a_silent_head_is_cut_without_a_word(self) -> None:
        self.xvp(settings=self.settings(head_deadline=0.1))
        viewer = await self.raw()
        self.assertEqual(await viewer.everything(), b"")
        self.assertNotIn("session", [event.get("event") for event in self.events])

    async def test_a_slow_head_is_refused(self) -> None:
        time = HeldTime()
        self.xvp_on(time)
        read = self.heads()
        viewer = await self.raw()
        viewer.write(b"CONN")
        await read.get()
        time.spend(self.settings().head_deadline)
        self.assertEqual(await viewer.until(b"\r\n\r\n"), self.line(400, errors.SetupTimeout))

    async def test_stopping_while_the_token_is_looked_up_is_503(self) -> None:
        asked: Deferred[None] = Deferred()

        async def never(token: str, console_type: str, address: str) -> object:
            asked.callback(None)
            return await Deferred()

        self.xvp(never)
        viewer = await self.raw()
        viewer.write(b"CONNECT /?token=t HTTP/1.0\r\n\r\n")
        await asked
        stopped = self.front.stop_sessions()
        self.assertEqual(await viewer.until(b"\r\n\r\n"), self.line(503, errors.Stopping))
        viewer.transport.loseConnection()
        await stopped
