"""The phases in which the proxy dials the VNC server and logs in.  (Hostile servers: tests/hostile.)"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from novnc_twisted import errors
from tests.session.harness import TOKEN, FrontCase, introduce, refused
from tests.support.held_time import HeldTime


class UpstreamPhases(FrontCase):
    """VNC servers that cannot be dialled, are silent, send nonsense, or close the connection."""

    async def unreachable(
        self, phase: str, detail: str = "", on: HeldTime | None = None, **settings: Any
    ) -> dict[str, Any]:
        self.novnc_on(on or reactor, settings=self.settings(**settings))
        viewer = await self.websocket()
        if on is not None:
            while [session.phase for session in self.front.registry] != [phase]:
                await deferLater(reactor, 0)
            on.spend(self.settings(**settings).setup_deadline)
        self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence)
        self.assertEqual((await viewer.until_closed())[0], 4502)
        record = await self.ended()
        self.assertEqual((record["cause"], record["phase"]), ("ConsoleUnreachable", phase))
        self.assertIn(detail, record["detail"])
        self.assertEqual(self.server.open, 0)
        return record

    async def test_a_server_that_takes_no_more_viewers(self) -> None:
        """QEMU's own limit: it completes the log-in of the 33rd viewer, and then closes the connection."""
        self.novnc()
        await introduce(await self.websocket())
        self.server.close = "init"
        viewer = await self.websocket()
        self.assertEqual(await refused(viewer), errors.TooManySessions.sentence)
        self.assertEqual((await viewer.until_closed())[0], 4429)
        self.assertIn("max_sessions_per_server", self.log_text())

    async def test_a_server_that_hangs_up(self) -> None:
        """Before the end of the log-in, within ServerInit, or without another session, this is a fault, not a limit."""
        await self.closes("init")
        self.novnc()
        await introduce(await self.websocket())
        for phase in ("version", "security", "result", "name"):
            self.server.close = phase
            viewer = await self.websocket()
            self.assertEqual(await refused(viewer), errors.ConsoleUnreachable.sentence, phase)
            await viewer.until_closed()

    async def test_only_live_sessions_with_the_same_server_tell_of_its_limit(self) -> None:
        """Sessions with another server, and sessions that are over, do not count."""
        self.novnc()
        first = await self.websocket()
        await introduce(first)
        self.server.close = "init"
        self.info = {"instance_uuid": "uuid-2"}
        second = await self.websocket()
        self.assertEqual(await refused(second), errors.ConsoleUnreachable.sentence)
        for viewer in (first, second):
            viewer.raw.transport.abortConnection()
        await self.all_over()
        self.info = {}
        self.assertEqual(await refused(await self.websocket()), errors.ConsoleUnreachable.sentence)

    async def closes(self, phase: str) -> None:
        self.server.close = phase
        await self.unreachable("login", "closed the connection")
        self.server.close = None

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

    async def test_a_reason_is_logged_and_not_shown(self) -> None:
        self.server.reason = b"line\r\nbreak token=%s" % TOKEN.encode()
        record = await self.unreachable("login", "line??break token=***")
        self.assertNotIn(TOKEN, str(record))

    async def test_a_flood_before_its_turn(self) -> None:
        self.server.version = b"RFB 003.008\n" + bytes(1 << 20)
        await self.unreachable("login")

    async def test_the_absolute_deadline_caps_all(self) -> None:
        self.server.stall = "version"
        time = HeldTime()
        await self.unreachable("login", "in time", on=time, setup_deadline=self.settings().rfb_deadline / 2)

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


class UnixSocket(FrontCase):
    async def setUp_socket(self) -> str:
        folder = Path(tempfile.mkdtemp())  # short: a socket's path has at most 107 bytes
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
