"""Every phase of a session, and everything that can go wrong in it: one ending, one record, nothing left."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from novnc_twisted import errors
from novnc_twisted.access import ConnectInfo
from novnc_twisted.session import SessionLimits
from tests.session.harness import TOKEN, FrontCase, frame, introduce, refused


class Says(Protocol):
    """A server that says one thing and listens."""

    def __init__(self, words: bytes, close: bool = False) -> None:
        self.words, self.close, self.heard = words, close, bytearray()

    def connectionMade(self) -> None:
        self.transport.write(self.words)
        if self.close:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class TokenPhase(FrontCase):
    async def refusal(self, cause: type[errors.Refusal], code: int, path: str = f"/?token={TOKEN}") -> dict[str, Any]:
        viewer = await self.websocket(path)
        self.assertEqual(await refused(viewer), cause.sentence)
        self.assertEqual(await viewer.until_closed(), (code, cause.sentence))
        record = await self.ended()
        self.assertEqual(record["cause"], cause.__name__)
        self.assertEqual(self.server.connections, [], "no byte reaches the VNC server before the token is good")
        self.assertEqual(self.kept, [])
        return record

    async def test_none(self) -> None:
        self.novnc()
        await self.refusal(errors.TokenMissing, 4401, "/")

    async def test_absurd(self) -> None:
        self.novnc()
        await self.refusal(errors.InvalidToken, 4401, "/?token=" + "x" * 300)
        self.assertEqual(self.asked, [])

    async def test_refusals_of_the_owner(self) -> None:
        for cause, code in (
            (errors.ConsoleForbidden, 4403),
            (errors.InstanceNotFound, 4404),
            (errors.ConsoleTypeUnavailable, 4404),
            (errors.InstanceNotRunning, 4409),
            (errors.ConsoleUnreachable, 4502),
            (errors.ServiceUnavailable, 4503),
        ):

            async def refuse(*_: str, cause: type[errors.Refusal] = cause) -> ConnectInfo:
                raise cause("why")

            self.novnc(refuse)
            self.events.clear()
            record = await self.refusal(cause, code)
            self.assertEqual(record["detail"], "why")
            ours = (errors.ConsoleUnreachable, errors.ServiceUnavailable)
            self.assertEqual(record["log_level"].name, "warn" if cause in ours else "info")

    async def test_no_answer(self) -> None:
        async def never(*_: str) -> ConnectInfo:
            return await Deferred()

        self.novnc(never, settings=self.settings(token_deadline=0.05))
        await self.refusal(errors.ServiceUnavailable, 4503)

    async def test_one_that_heeds_no_cancellation(self) -> None:
        silent: Deferred[None] = Deferred(lambda _: None)
        silent.cancel = lambda: None  # type: ignore[method-assign]

        async def stubborn(*_: str) -> ConnectInfo:
            await silent
            raise AssertionError

        self.novnc(stubborn, settings=self.settings(token_deadline=0.05))
        await self.refusal(errors.ServiceUnavailable, 4503)

    async def test_a_mistake_of_ours_is_logged_as_one(self) -> None:
        async def broken(*_: str) -> ConnectInfo:
            raise ZeroDivisionError

        self.novnc(broken)
        await self.refusal(errors.ServiceUnavailable, 4503)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_the_viewer_leaves(self) -> None:
        asked: Deferred[None] = Deferred()
        cancelled: Deferred[None] = Deferred()

        async def never(*_: str) -> ConnectInfo:
            waiting: Deferred[ConnectInfo] = Deferred(lambda _: cancelled.callback(None))
            asked.callback(None)
            return await waiting

        self.novnc(never)
        viewer = await self.websocket()
        await asked
        viewer.raw.transport.abortConnection()
        await cancelled
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ClientLeft", "token"))

    async def test_the_viewer_talks_ahead(self) -> None:
        async def never(*_: str) -> ConnectInfo:
            return await Deferred()

        self.novnc(never)
        viewer = await self.websocket()
        viewer.write(bytes(40000))
        viewer.write(bytes(40000))
        while viewer.closed is None:
            await viewer.step()
        self.assertEqual(viewer.closed[0], 1009)
        self.assertEqual((await self.ended())["cause"], "MessageTooBig")

    async def test_what_the_viewer_said_ahead_within_bounds_is_kept(self) -> None:
        self.novnc()
        viewer = await self.websocket()
        viewer.write(b"RFB 003.008\n\1\1" + b"\4\1\0\0\0\0\0A")
        connection = await self.server.live.get()
        self.assertEqual(await connection.inbox.get(), (4, b"\4\1\0\0\0\0\0A"))

    async def test_a_text_message(self) -> None:
        self.novnc()
        viewer = await self.websocket()
        viewer.raw.write(frame(1, b"hello"))
        self.assertEqual(await viewer.until_closed(), (1003, errors.TextRefused.sentence))

    async def test_a_silent_viewer_does_not_hold_the_refusal(self) -> None:
        self.novnc(settings=self.settings(refusal_deadline=0.05))
        viewer = await self.websocket("/?token=wrong")
        self.assertEqual(await viewer.read(12), b"RFB 003.008\n")
        self.assertEqual((await viewer.until_closed())[0], 4401)

    async def test_limits(self) -> None:
        limits = SessionLimits(max_sessions_per_server=1)
        self.novnc(limits=limits)
        first = await self.websocket()
        await introduce(first)
        second = await self.websocket()
        self.assertEqual(await refused(second), errors.TooManySessions.sentence)
        self.assertEqual((await second.until_closed())[0], 4429)
        first.raw.transport.abortConnection()
        await self.all_over()
        third = await self.websocket()
        await introduce(third)
        self.assertEqual(len(limits), 1)


class UpstreamPhases(FrontCase):
    """The VNC server: cannot be dialled, is silent, talks nonsense, goes."""

    async def unreachable(self, phase: str, detail: str = "", **settings: Any) -> dict[str, Any]:
        self.novnc(settings=self.settings(**settings))
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
        self.assertEqual((await viewer.until_closed())[0], 4502)
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", phase))
        self.assertIn(detail, record["detail"])
        self.assertEqual(self.server.open, 0)
        return record

    async def test_nobody_listens(self) -> None:
        self.info = {"port": 1}
        await self.unreachable("dial", "127.0.0.1:1")

    async def test_no_such_name(self) -> None:
        self.info = {"host": "no such host!"}
        await self.unreachable("dial")

    async def test_an_ipv6_address(self) -> None:
        port = reactor.listenTCP(0, self.server, interface="::1")
        self.addCleanup(port.stopListening)
        self.novnc()
        for host in ("::1", "[::1]"):
            self.info = {"host": host, "port": port.getHost().port}
            await introduce(await self.websocket())

    async def test_a_host_name(self) -> None:
        self.info = {"host": "localhost"}
        self.novnc()
        await introduce(await self.websocket())

    async def test_silent_in_every_phase(self) -> None:
        for phase in ("version", "security", "result", "init"):
            self.server.stall = phase
            self.events.clear()
            await self.unreachable("login", "in time", rfb_deadline=0.05)

    async def test_garbage_in_every_phase(self) -> None:
        for phase in ("version", "security", "result", "init"):
            self.server.garbage = phase
            self.events.clear()
            await self.unreachable("login")

    async def test_closes_in_every_phase(self) -> None:
        for phase in ("version", "security", "result", "init"):
            self.server.close = phase
            self.events.clear()
            await self.unreachable("login", "closed")

    async def test_a_reason_of_4_gib(self) -> None:
        self.server.endless_reason = True
        record = await self.unreachable("login", "refuses us")
        self.assertLess(len(record["detail"]), 400)

    async def test_a_reason_is_logged_and_not_shown(self) -> None:
        self.server.reason = b"line\r\nbreak token=%s" % TOKEN.encode()
        record = await self.unreachable("login", "line??break token=***")
        self.assertNotIn(TOKEN, str(record))

    async def test_a_flood_before_its_turn(self) -> None:
        self.port = self.listen(Factory.forProtocol(lambda: Says(b"RFB 003.008\n" + bytes(1 << 20))))
        await self.unreachable("login")

    async def test_the_absolute_deadline_caps_all(self) -> None:
        self.server.stall = "version"
        await self.unreachable("login", "in time", setup_deadline=0.1)

    async def test_the_viewer_leaves_while_we_log_in(self) -> None:
        self.server.stall = "security"
        self.novnc()
        viewer = await self.websocket()
        connection = await self.server.accepted.get()
        viewer.raw.transport.abortConnection()
        await connection.gone
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ClientLeft", "login"))

    async def test_stopping_while_we_log_in(self) -> None:
        self.server.stall = "security"
        self.novnc()
        viewer = await self.websocket()
        await self.server.accepted.get()
        stopped = self.front.stop_sessions()
        self.assertEqual(await refused(viewer), errors.Stopping.sentence)
        self.assertEqual((await viewer.until_closed())[0], 1001)
        await stopped

    async def test_a_password_is_asked_only_where_it_is_wanted(self) -> None:
        asked = []

        async def ask(*what: str) -> str:
            asked.append(what)
            return "secret"

        self.novnc(ask_password=ask)
        await introduce(await self.websocket())
        self.assertEqual(asked, [])
        self.server.password, self.server.security_types = "secret", (2,)
        await introduce(await self.websocket())
        self.assertEqual(asked, [(TOKEN, "novnc", "127.0.0.1")])
        self.assertNotIn("secret", self.log_text())

    async def test_no_password_where_one_is_wanted(self) -> None:
        self.server.password, self.server.security_types = "secret", (2,)
        await self.unreachable("login", "password")

    async def test_no_answer_about_the_password(self) -> None:
        cancelled: Deferred[None] = Deferred()

        async def ask(*_: str) -> str:
            return await Deferred(lambda _: cancelled.callback(None))

        self.server.password, self.server.security_types = "secret", (2,)
        self.novnc(ask_password=ask, settings=self.settings(token_deadline=0.1))
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.ServiceUnavailable.sentence)
        await cancelled
        await viewer.until_closed()

    async def test_the_viewer_leaves_while_the_password_is_asked(self) -> None:
        asked: Deferred[None] = Deferred()
        cancelled: Deferred[None] = Deferred()

        async def ask(*_: str) -> str:
            waiting: Deferred[str] = Deferred(lambda _: cancelled.callback(None))
            asked.callback(None)
            return await waiting

        self.server.password, self.server.security_types = "secret", (2,)
        self.novnc(ask_password=ask)
        viewer = await self.websocket()
        await asked
        viewer.raw.transport.abortConnection()
        await cancelled
        self.assertEqual((await self.ended())["cause"], "ClientLeft")

    async def test_the_password_of_the_connect_info(self) -> None:
        self.server.password, self.server.security_types = "secret", (2,)
        self.info = {"password": "secret"}
        self.novnc()
        await introduce(await self.websocket())
        self.assertNotIn("'secret'", self.log_text())


class AccessPath(FrontCase):
    """``internal_access_path``: only a real 200 counts."""

    async def answered(self, answer: bytes, close: bool = False) -> str:
        self.port = self.listen(Factory.forProtocol(lambda: Says(answer, close)))
        self.info = {"internal_access_path": "/console?uuid=1"}
        self.novnc(settings=self.settings(dial_deadline=0.1, rfb_deadline=0.1))
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
        await viewer.until_closed()
        record = await self.ended()
        self.events.clear()
        return f"{record['phase']}: {record['detail']}"

    async def test_what_is_no_200(self) -> None:
        for answer in (
            b"HTTP/1.1 404 200 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 503 \r\nX: HTTP/1.1 200 OK\r\n\r\n",
            b"RFB 003.008\n\n",
            b"200\r\n\r\n",
            b"x" * 20000,
            b"HTTP/1.1 200 OK\r\n",
        ):
            self.assertTrue((await self.answered(answer)).startswith("access path"), answer[:30])
        self.assertIn("closed", await self.answered(b"HTTP/1.1 200 OK\r\n", close=True))

    async def test_a_bad_path_is_not_sent(self) -> None:
        self.info = {"internal_access_path": "/x\r\nEvil: 1"}
        self.novnc()
        viewer = await self.websocket()
        await refused(viewer)
        connection = await self.server.accepted.get()
        await connection.gone
        self.assertEqual(connection.client_version, b"")

    async def test_bytes_that_come_with_the_200_are_kept(self) -> None:
        server = self.server
        heard: Deferred[bytes] = Deferred()

        class Gate(Protocol):
            """Answers CONNECT together with the server's first words, then is the server."""

            head = b""
            inner: Any = None

            def dataReceived(self, data: bytes) -> None:
                if self.inner is not None:
                    self.inner.dataReceived(data)
                    return
                self.head += data
                if self.head.endswith(b"\r\n\r\n"):
                    heard.callback(self.head)
                    self.inner = server.buildProtocol(None)
                    self.transport.write(b"HTTP/1.0 200 Connection established\r\n\r\n")
                    self.inner.makeConnection(self.transport)  # the same segment, in all likelihood

            def connectionLost(self, reason: Any = None) -> None:
                self.inner.connectionLost()

        self.port = self.listen(Factory.forProtocol(Gate))
        self.info = {"internal_access_path": "/console?uuid=1"}
        self.novnc()
        await introduce(await self.websocket())
        self.assertEqual(await heard, b"CONNECT /console?uuid=1 HTTP/1.1\r\n\r\n")


class ViewerPhases(FrontCase):
    """The viewer, once it is offered RFB."""

    async def offered(self, **settings: Any) -> Any:
        self.novnc(settings=self.settings(**settings))
        viewer = await self.websocket()
        self.assertEqual(await viewer.read(12), b"RFB 003.008\n")
        return viewer

    async def test_silent(self) -> None:
        viewer = await self.offered(rfb_deadline=0.05)
        self.assertEqual(await viewer.until_closed(), (1002, errors.SetupTimeout.sentence))
        self.assertEqual((await self.ended())["phase"], "offer")

    async def test_a_byte_at_a_time_is_no_life(self) -> None:
        viewer = await self.offered(rfb_deadline=0.1)
        for byte in b"RFB 003.":
            viewer.write(bytes([byte]))
        self.assertEqual((await viewer.until_closed())[0], 1002)

    async def test_other_versions(self) -> None:
        for version in (b"RFB 003.003\n", b"RFB 003.005\n", b"RFB 003.007\n", b"RFB 004.000\n", b"GET / HTTP/1"):
            viewer = await self.offered()
            viewer.write(version)
            head = await viewer.read(4 if version in (b"RFB 003.003\n", b"RFB 003.005\n") else 1)
            self.assertFalse(any(head))
            length = int.from_bytes(await viewer.read(4), "big")
            self.assertEqual((await viewer.read(length)).decode(), errors.ProtocolViolation.sentence)
            self.assertEqual((await viewer.until_closed())[0], 1002)

    async def test_a_type_that_was_not_offered(self) -> None:
        viewer = await self.offered()
        viewer.write(b"RFB 003.008\n\x02")
        self.assertEqual(await viewer.read(2), b"\1\1")
        self.assertEqual(await viewer.read(4), b"\0\0\0\1")
        await viewer.read(int.from_bytes(await viewer.read(4), "big"))
        self.assertEqual((await viewer.until_closed())[0], 1002)
        connection = await self.server.live.get()
        self.assertEqual(connection.messages, [])

    async def test_leaves(self) -> None:
        viewer = await self.offered()
        connection = await self.server.live.get()
        viewer.raw.write(frame(8, b"\x03\xe8"))
        self.assertEqual(await viewer.until_closed(), (1000, ""))
        await connection.gone
        self.assertEqual((await self.ended())["cause"], "ClientLeft")

    async def test_the_server_leaves_meanwhile(self) -> None:
        viewer = await self.offered()
        (await self.server.live.get()).transport.loseConnection()
        self.assertEqual((await viewer.until_closed())[0], 4502)


class Live(FrontCase):
    async def live(self, **settings: Any) -> Any:
        self.novnc(settings=self.settings(**settings))
        viewer = await self.websocket()
        await introduce(viewer)
        self.connection = await self.server.live.get()
        return viewer

    async def test_the_server_ends_it(self) -> None:
        viewer = await self.live()
        self.connection.transport.write(b"last words")
        self.connection.transport.loseConnection()
        self.assertEqual(await viewer.read(10), b"last words")
        self.assertEqual(await viewer.until_closed(), (4504, errors.ConsoleClosed.sentence))
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleClosed", "live"))

    async def test_what_the_viewer_said_last_still_arrives(self) -> None:
        viewer = await self.live()
        viewer.write(b"\4\1\0\0\0\0\0A")
        viewer.raw.transport.loseConnection()
        self.assertEqual((await self.connection.inbox.get())[0], 4)

    async def test_idle(self) -> None:
        viewer = await self.live(idle_timeout=0.05)
        self.assertEqual(await viewer.until_closed(), (4408, errors.IdleTimeout.sentence))

    async def test_expiry(self) -> None:
        self.info = {"expires_at": reactor.seconds() + 0.1, "reconnects": False}
        viewer = await self.live()
        self.assertEqual(await viewer.until_closed(), (4408, errors.SessionExpired.sentence))
        self.assertEqual(self.kept, [])

    async def test_text(self) -> None:
        viewer = await self.live()
        viewer.raw.write(frame(2, b"\4\1\0\0\0\0\0A") + frame(1, b"text"))
        self.assertEqual(await viewer.until_closed(), (1003, errors.TextRefused.sentence))
        self.assertEqual((await self.connection.inbox.get())[0], 4)

    async def test_too_big(self) -> None:
        viewer = await self.live()
        viewer.raw.write(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0")
        self.assertEqual((await viewer.until_closed())[0], 1009)

    async def test_the_token_is_kept_while_it_lives_and_once_after(self) -> None:
        viewer = await self.live(keep_interval=0.02)
        while len(self.kept) < 3:
            viewer.raw.write(frame(9, b"are you there"))
            await viewer.step()
        viewer.raw.transport.abortConnection()
        await self.all_over()
        kept = len(self.kept)
        self.assertEqual(set(self.kept), {(TOKEN, "127.0.0.1")})
        self.assertGreaterEqual(kept, 4)

    async def test_failures_to_keep_it_are_logged_once_and_end_nothing(self) -> None:
        tries = []

        async def broken(token: str, address: str) -> None:
            tries.append(token)
            raise errors.ServiceUnavailable("down")

        self.novnc(settings=self.settings(keep_interval=0.01), keep_token=broken)
        viewer = await self.websocket()
        await introduce(viewer)
        while len(tries) < 3:
            viewer.raw.write(frame(9, b""))
            await viewer.step()
        viewer.raw.transport.abortConnection()
        await self.all_over()
        warnings = [event for event in self.events if "kept" in (event.get("log_format") or "")]
        self.assertEqual(len(warnings), 1)

    async def test_the_record_says_who_and_what_and_never_the_token(self) -> None:
        viewer = await self.live()
        viewer.write(b"\4\1\0\0\0\0\0A")
        await self.connection.inbox.get()
        viewer.raw.write(frame(8, b""))
        await viewer.until_closed()
        record = await self.ended()
        self.assertEqual(
            {key: record[key] for key in ("user_id", "project_id", "instance_uuid", "instance_name", "console_type")},
            {
                "user_id": "alice",
                "project_id": "demo",
                "instance_uuid": "uuid-1",
                "instance_name": "myserver20",
                "console_type": "novnc",
            },
        )
        self.assertEqual((record["address"], record["bytes_in"], record["phase"]), ("127.0.0.1", 22, "live"))
        self.assertGreater(record["bytes_out"], 40)
        self.assertNotIn(TOKEN, self.log_text())


class UnixSocket(FrontCase):
    async def setUp_socket(self) -> str:
        folder = Path(tempfile.mkdtemp())  # short: a socket's path has 107 bytes
        self.addCleanup(shutil.rmtree, folder)
        (folder / "domain-1").mkdir()
        path = str(folder / "domain-1" / "vnc.sock")
        port = reactor.listenUNIX(path, self.server)
        self.addCleanup(port.stopListening)
        self.info = {"socket": path, "compute_host": "host1", "host": "", "port": 0}
        return str(folder)

    async def test_on_our_host(self) -> None:
        folder = await self.setUp_socket()
        self.novnc(settings=self.settings(host="host1", socket_directories=(folder,)))
        self.assertEqual(await introduce(await self.websocket()), (64, 48, "myserver20"))

    async def test_elsewhere(self) -> None:
        folder = await self.setUp_socket()
        self.novnc(settings=self.settings(host="host2", socket_directories=(folder,)))
        viewer = await self.websocket()
        await refused(viewer)
        self.assertEqual((await viewer.until_closed())[0], 4502)
        self.assertIn("host2", (await self.ended())["detail"])
        self.assertEqual(self.server.connections, [])
