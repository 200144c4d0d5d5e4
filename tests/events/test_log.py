"""The log as an observer of events: one line for each session, summaries for refused requests."""

from typing import Any, get_args

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import TABLE
from novnc_twisted.events import (
    APITokenChanged,
    ConsoleShared,
    ControlChanged,
    Event,
    EventLog,
    FrameBlocked,
    KeysSent,
    PowerAction,
    RequestRefused,
    ScreenshotTaken,
    SessionChanged,
    SessionClosed,
    SessionOpened,
    TokenMade,
    TokenRefused,
    TokenRevoked,
    TokenUsed,
)
from novnc_twisted.events.log_frames import MAX_ORIGINS

CLOSED = {
    "session_id": "one",
    "console_type": "novnc",
    "cause": "ClientLeft",
    "close_code": 1000,
    "detail": "with 1000",
    "phase": "live",
    "peer": "192.0.2.9:50000",
    "address": "192.0.2.1",
    "user_id": "bob",
    "project_id": "red",
    "instance_uuid": "uuid",
    "instance_name": "myserver20",
    "seconds": 1.25,
    "bytes_in": 10,
    "bytes_out": 20,
}


class EventLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = EventLog(self.clock)
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def closed(self, **more: Any) -> LogEvent:
        self.log(SessionClosed(**(CLOSED | more)))
        return self.events.pop()

    def test_session(self) -> None:
        """The event of the line has every field, for logs in JSON."""
        event = self.closed()
        self.assertEqual(
            formatEvent(event),
            "novnc console of myserver20 (uuid) for 192.0.2.1 ended in phase live after 1.2 s: ClientLeft (with 1000); "
            "10 bytes in, 20 out",
        )
        self.assertEqual({name: event[name] for name in CLOSED}, CLOSED)
        self.assertEqual((event["event"], event["log_namespace"]), ("session", "novnc_twisted.session"))

    def test_session_before_anything_is_known(self) -> None:
        unknown = dict.fromkeys(("user_id", "project_id", "instance_uuid", "instance_name", "detail"), "")
        event = self.closed(cause="TokenMissing", phase="token", **unknown)
        self.assertIn("novnc console of - (-) for 192.0.2.1 ended", formatEvent(event))
        self.assertIn(": TokenMissing; 10 bytes", formatEvent(event))

    def test_levels(self) -> None:
        """A warning where an operator has something to repair; never a traceback."""
        for cause in TABLE:
            event = self.closed(cause=cause)
            level = "warn" if cause in ("ConsoleUnreachable", "ServiceUnavailable", "WorkerLost") else "info"
            self.assertEqual(event["log_level"].name, level, cause)
            self.assertNotIn("log_failure", event)

    def test_refusals_are_summarised(self) -> None:
        for _ in range(3):
            self.log(RequestRefused(service="novncproxy", cause="BadRequest", address="192.0.2.1", status=400))
        (event,) = self.events
        self.assertEqual(formatEvent(event), "novncproxy: refused 192.0.2.1 (BadRequest, status 400)")
        self.log.stop()
        self.assertIn("2 more times", formatEvent(self.events[-1]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_frames(self) -> None:
        """One line for each origin and minute; clients that invent origins fill neither the log nor the memory."""

        def blocked(origin: str) -> None:
            option = "[console] frame_ancestors"
            self.log(FrameBlocked(service="novncproxy", address="192.0.2.1", origin=origin, option=option))

        for _ in range(3):
            blocked("https://horizon.example")
        (event,) = self.events
        self.assertEqual(
            formatEvent(event),
            "novncproxy: the browser of 192.0.2.1 will not show the console in a frame of https://horizon.example. "
            "To allow it: [console] frame_ancestors",
        )
        self.assertEqual(event["log_level"].name, "info")
        self.clock.advance(59.9)
        blocked("https://horizon.example")
        self.assertEqual(len(self.events), 1)
        self.clock.advance(0.1)
        blocked("https://horizon.example")
        self.assertEqual(len(self.events), 2)
        for number in range(1000):
            blocked(f"https://h{number}")
        self.assertEqual(len(self.events), 1 + MAX_ORIGINS)

    def test_others_leave_no_line(self) -> None:
        others = (
            SessionOpened(),
            SessionChanged(mode="view"),
            ConsoleShared(mode="view", expires_at=1.0),
            ControlChanged(action="give"),
            PowerAction(action="start"),
            ScreenshotTaken(),
            APITokenChanged(),
            KeysSent(),
            TokenMade(expires_at=1.0),
            TokenUsed(),
            TokenRefused(cause="InvalidToken"),
            TokenRevoked(),
        )
        logged = {SessionClosed, RequestRefused, FrameBlocked}
        self.assertEqual(
            {type(event) for event in others} | logged, set(get_args(Event)), "a new event needs a test here"
        )
        for event in others:
            self.log(event)
        self.assertEqual(self.events, [])
