"""The viewer's RFB handshake, and live sessions.  (For hostile viewers, see tests/hostile.)"""

import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.relay import timer_wheel
from tests.session.harness import HANDSHAKE, TOKEN, FrontCase, WebSocket, frame, introduce
from tests.support.held_time import HeldTime


class SinceBoot:
    """The reactor, with a clock other than Unix time."""

    seconds = staticmethod(time.monotonic)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class ViewerPhases(FrontCase):
    """The viewer's RFB handshake."""

    async def offered(self, on: Any = reactor) -> Any:
        self.novnc_on(on)
        viewer = await self.websocket()
        self.assertEqual(await viewer.read(12), b"RFB 003.008\n")
        return viewer

    async def test_a_byte_at_a_time_is_no_life(self) -> None:
        time = HeldTime()
        viewer = await self.offered(time)
        for byte in b"RFB 003.":
            viewer.write(bytes([byte]))
        viewer.raw.write(frame(9, b"have you read it"))
        await viewer.step()
        time.spend(self.settings().rfb_deadline)
        self.assertEqual((await viewer.until_closed())[0], 1002)

    async def test_lower_versions_are_served(self) -> None:
        """A viewer may answer with a version below 3.8 (RFC 6143, section 7.1.1).  vncsnapshot always answers 3.3."""
        self.novnc()
        for version in (b"RFB 003.003\n", b"RFB 003.005\n", b"RFB 003.007\n"):
            viewer = await self.websocket()
            self.assertEqual(await introduce(viewer, version), (64, 48, "myserver20"))
            connection = await self.server.live.get()
            viewer.write(b"\4\1\0\0\0\0\0A")
            self.assertEqual(await connection.inbox.get(), (4, b"\4\1\0\0\0\0\0A"))

    async def test_names_of_any_language_are_the_title(self) -> None:
        """Blanks and joiners stay; characters that could disguise a title are replaced."""
        self.novnc()
        for name, title in (
            ("検証\u3000サーバ", "検証\u3000サーバ"),
            ("\u0645\u06cc\u200c\u062e a\u00a0b", "\u0645\u06cc\u200c\u062e a\u00a0b"),
            ("a\u202eb\nc\udcffd", "a?b?c?d"),
        ):
            self.info = {"name": name}
            self.assertEqual(await introduce(await self.websocket()), (64, 48, title))

    async def test_other_versions(self) -> None:
        for version in (b"RFB 003.004\n", b"RFB 003.006\n", b"RFB 004.000\n", b"GET / HTTP/1"):
            viewer = await self.offered()
            viewer.write(version)
            self.assertEqual(await viewer.read(1), b"\0")
            length = int.from_bytes(await viewer.read(4), "big")
            self.assertEqual((await viewer.read(length)).decode(), errors.ProtocolViolation.sentence)
            self.assertEqual((await viewer.until_closed())[0], 1002)

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
    def setUp(self) -> None:
        super().setUp()
        self.patch(timer_wheel, "RESOLUTION", 0.02)

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

    async def test_the_last_message_of_the_viewer_still_arrives(self) -> None:
        viewer = await self.live()
        viewer.write(b"\4\1\0\0\0\0\0A")
        viewer.raw.transport.loseConnection()
        self.assertEqual((await self.connection.inbox.get())[0], 4)

    async def test_idle(self) -> None:
        viewer = await self.live(idle_timeout=0.05)
        self.assertEqual(await viewer.until_closed(), (4408, errors.IdleTimeout.sentence))

    async def test_idle_after_a_reload(self) -> None:
        """A new limit of the idle time applies to live sessions at once."""
        viewer = await self.live()
        [session] = self.front.registry
        heard_at = session.viewer.end.heard_at
        self.front.use(self.settings(idle_timeout=3600))
        self.front.use(self.settings(idle_timeout=0))
        self.assertEqual(session.phase, "live")
        # The list of sessions shows heard_at as the time of the last input, so a reload must not change it.
        self.assertEqual(session.viewer.end.heard_at, heard_at)
        self.front.use(self.settings(idle_timeout=0.05))
        self.assertEqual(await viewer.until_closed(), (4408, errors.IdleTimeout.sentence))

    async def test_idle_time_begins_with_the_session(self) -> None:
        """A viewer may send its part of the handshake in advance, and the set-up may take longer than idle_timeout."""
        found: Deferred[None] = Deferred()
        asked: Deferred[None] = Deferred()

        async def authorise(*arguments: str) -> ConnectInfo:
            asked.callback(None)
            await found
            return await self.authorise(*arguments)

        self.novnc(authorise, settings=self.settings(idle_timeout=3))
        client = await self.raw()
        head = HANDSHAKE.format(path=f"/?token={TOKEN}", more="").encode()
        client.write(head + frame(2, b"RFB 003.008\n\1\1"))  # one segment: all of it is read at once
        await asked
        now = reactor.seconds
        self.patch(reactor, "seconds", lambda: now() + 4)
        found.callback(None)
        await client.until(b"\r\n\r\n")
        viewer = WebSocket(client)
        await viewer.read(12 + 2 + 4 + 24 + len("myserver20"))
        viewer.write(b"\4\1\0\0\0\0\0A")
        connection = await self.server.live.get()
        self.assertEqual((await connection.inbox.get())[0], 4)

    async def test_expiry(self) -> None:
        self.info = {"expires_at": time.time() + 0.1, "reconnects": False}
        viewer = await self.live()
        self.assertEqual(await viewer.until_closed(), (4408, errors.SessionExpired.sentence))
        self.assertEqual(self.kept, [(TOKEN, "127.0.0.1")], "keep_token is called only when the session begins")

    async def test_the_token_is_not_kept_after_these_ends(self) -> None:
        """After the first three causes, the viewer must not reconnect, so ``keep_token`` is not called again."""
        for cause, renewals in (
            (errors.Revoked("why"), 0),
            (errors.SessionExpired(), 0),
            (errors.ConsoleForbidden("given away"), 0),
            (errors.IdleTimeout(), 1),
        ):
            viewer = await self.live()
            [session] = self.front.registry
            kept = len(self.kept)
            session.end(cause)
            await viewer.until_closed()
            await self.front.registry.none_left()
            self.assertEqual(len(self.kept) - kept, renewals, cause)

    async def test_expiry_is_unix_time_whatever_the_reactor_counts(self) -> None:
        """expires_at is Unix time.  The clock of the commands' reactor counts from boot, so it must not be used."""
        self.info = {"expires_at": time.time() + 0.1, "reconnects": False}
        self.novnc_on(SinceBoot())
        viewer = await self.websocket()
        await introduce(viewer)
        self.assertEqual(await viewer.until_closed(), (4408, errors.SessionExpired.sentence))

    async def test_text(self) -> None:
        viewer = await self.live()
        viewer.raw.write(frame(2, b"\4\1\0\0\0\0\0A") + frame(1, b"text"))
        self.assertEqual(await viewer.until_closed(), (1003, errors.TextRefused.sentence))
        self.assertEqual((await self.connection.inbox.get())[0], 4)

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
        words = "the token lease of a live session could not be renewed"
        warnings = [event for event in self.events if words in (event.get("log_format") or "")]
        self.assertEqual(len(warnings), 1)

    async def test_it_ends_when_the_token_may_not_be_used_any_more(self) -> None:
        """The server belongs to another project now."""
        asked = []

        async def forbid(*arguments: str) -> None:
            asked.append(arguments)
            raise errors.ConsoleForbidden("it was given away")

        self.novnc(keep_token=forbid)
        viewer = await self.websocket()
        await introduce(viewer)
        self.assertEqual((await viewer.until_closed())[0], 4403)
        record = await self.ended()
        self.assertEqual((record["cause"], record["detail"]), ("ConsoleForbidden", "it was given away"))
        self.assertEqual(asked, [(TOKEN, "127.0.0.1")], "keep_token is called only when the session begins")

    async def test_a_session_that_may_not_reconnect(self) -> None:
        """A revoked token ends the session.  If the session ends as idle, ``keep_token`` is not called again."""
        answers: list[Exception | None] = [None, errors.Revoked("gone"), None]
        asked = []

        async def keep(*arguments: str) -> None:
            asked.append(arguments)
            answer = answers[len(asked) - 1]
            if answer is not None:
                raise answer

        self.info = {"reconnects": False}
        self.novnc(settings=self.settings(keep_interval=0.01), keep_token=keep)
        viewer = await self.websocket()
        await introduce(viewer)
        self.assertEqual((await viewer.until_closed())[0], 4410)
        self.assertEqual((await self.ended())["detail"], "gone")
        self.front.use(self.settings(keep_interval=3600))
        viewer = await self.websocket()
        await introduce(viewer)
        [session] = self.front.registry
        session.end(errors.IdleTimeout())
        await viewer.until_closed()
        await self.front.registry.none_left()
        self.assertEqual(len(asked), 3)

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
