"""The token phase: each answer to the check, no answer, and viewers that do not wait for it."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted import errors
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.session import SessionLimits
from tests.session.harness import TOKEN, FrontCase, frame, introduce, refused


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
        self.assertEqual(await refused(second), errors.TooManyForServer.sentence)
        self.assertEqual((await second.until_closed())[0], 4429)
        first.raw.transport.abortConnection()
        await self.all_over()
        third = await self.websocket()
        await introduce(third)
        self.assertEqual(len(limits), 1)
