"""The entries of the audit trail."""

import json
import re
from pathlib import Path
from typing import Any, get_args

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.audit.entries import CODES, MAX_LINE, entry_of
from novnc_twisted.events.records import (
    APITokenChanged,
    ConsoleShared,
    ControlChanged,
    Event,
    KeysSent,
    PowerAction,
    ScreenshotTaken,
    SessionChanged,
    SessionClosed,
    SessionOpened,
    TokenMade,
    TokenRefused,
    TokenRevoked,
    TokenUsed,
)
from novnc_twisted.events.refused import FrameBlocked, RequestRefused
from tests.events.test_records import make

FIELDS = {
    *("event", "code", "time", "uid", "session", "user", "project", "server", "address"),
    *("result", "cause", "bytes", "seconds"),
}
ORIGIN = {"service": "novncproxy", "host": "control1"}
ABOUT = {
    "console_type": "novnc",
    "address": "192.0.2.1",
    "user_id": "u",
    "project_id": "p",
    "instance_uuid": "uuid",
    "instance_name": "myserver20",
}
WITHOUT = {FrameBlocked, RequestRefused}
"""Events without an entry, because they occur before a console is requested."""


def entry(event: Any) -> dict[str, Any]:
    """Return the entry of an event, parsed from its line."""
    found = entry_of(event, "abc", 1700000000.25, ORIGIN)
    assert found is not None
    line = found.line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return dict(json.loads(line))


class EntryTests(SynchronousTestCase):
    def test_the_fields_of_all(self) -> None:
        for kind in get_args(Event):
            if kind in WITHOUT:
                self.assertIsNone(entry_of(make(kind, "x"), "abc", 0.0, ORIGIN))
                continue
            found = entry(make(kind, "x"))
            self.assertEqual(FIELDS - set(found), set(), kind)
            self.assertEqual(found["code"], CODES[found["event"]])
            self.assertEqual((found["time"], found["uid"]), ("2023-11-14T22:13:20.250000Z", "abc"))
            self.assertEqual((found["service"], found["host"]), ("novncproxy", "control1"))

    def test_documented(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "monitoring.rst").read_text()
        rows = re.findall(r"\* - ``(\w+\.\w+)``\n     - (N[A-Z]\d+)\n", page)
        self.assertEqual(dict(rows), dict(CODES))

    def test_codes(self) -> None:
        self.assertEqual(len(set(CODES.values())), len(CODES))

    def test_who_and_what(self) -> None:
        found = entry(SessionOpened(**ABOUT, session_id="s", seconds=1.5, mode="view", phases=(("token", 1.0),)))
        about = {"session": "s", "user": "u", "project": "p", "server": "uuid", "server_name": "myserver20"}
        self.assertEqual({name: found[name] for name in about}, about)
        self.assertEqual((found["address"], found["console_type"], found["mode"]), ("192.0.2.1", "novnc", "view"))
        self.assertEqual((found["event"], found["result"], found["seconds"]), ("session.opened", "ok", 1.5))

    def test_the_end_of_a_session(self) -> None:
        """If the session was live, the entry is ``session.closed``, else ``session.refused``."""
        more: dict[str, Any] = {"close_code": 1000, "seconds": 2.0, "bytes_in": 3, "bytes_out": 4}
        closed = entry(SessionClosed(**ABOUT, cause="ClientLeft", phase="live", **more))
        self.assertEqual((closed["event"], closed["result"], closed["cause"]), ("session.closed", "ok", "ClientLeft"))
        self.assertEqual((closed["bytes"], closed["bytes_in"], closed["bytes_out"]), (7, 3, 4))
        refused = entry(SessionClosed(cause="ConsoleUnreachable", phase="dial", detail="gone", **more))
        self.assertEqual(
            (refused["event"], refused["result"], refused["phase"]), ("session.refused", "refused", "dial")
        )
        self.assertEqual((refused["detail"], refused["user"]), ("gone", None))

    def test_the_others(self) -> None:
        cases: tuple[tuple[Event, dict[str, Any]], ...] = (
            (TokenMade(expires_at=5.0), {"event": "token.made", "result": "ok", "expires_at": 5.0}),
            (TokenUsed(), {"event": "token.used", "result": "ok"}),
            (
                TokenRefused(cause="InvalidToken", detail="unknown"),
                {"event": "token.refused", "result": "refused", "cause": "InvalidToken", "detail": "unknown"},
            ),
            (TokenRevoked(tokens=3, reason="gone"), {"event": "token.revoked", "tokens": 3, "detail": "gone"}),
            (SessionChanged(mode="view"), {"event": "session.changed", "mode": "view"}),
            (
                ConsoleShared(mode="view", expires_at=5.0, shared_link_id="l"),
                {"event": "session.shared", "mode": "view", "expires_at": 5.0, "shared_link": "l"},
            ),
            (
                ControlChanged(session_id="s", other_session_id="t", action="give"),
                {"event": "session.control", "session": "s", "other_session": "t", "action": "give"},
            ),
            (PowerAction(action="stop"), {"event": "server.power", "action": "stop", "result": "ok", "cause": None}),
            (PowerAction(action="stop", cause="task"), {"result": "refused", "cause": "task"}),
            (PowerAction(action="stop", session_id="s", link_id="l"), {"session": "s", "link": "l"}),
            (ScreenshotTaken(size=7), {"event": "server.screenshot", "bytes": 7, "result": "ok"}),
            (ScreenshotTaken(cause="InstanceNotRunning"), {"result": "refused", "cause": "InstanceNotRunning"}),
            (
                APITokenChanged(change="used", name="backup", right="read", link_id="0a"),
                {"event": "api_token.used", "detail": "backup", "mode": "read", "link": "0a", "code": "NT111"},
            ),
            (KeysSent(keys=5), {"event": "server.keys", "keys": 5, "result": "ok"}),
            (KeysSent(keys=5, cause="task"), {"result": "refused", "cause": "task", "keys": 5}),
        )
        for event, expected in cases:
            found = entry(event)
            self.assertEqual({name: found[name] for name in expected}, expected)

    def test_any_texts(self) -> None:
        """An entry is one line of at most MAX_LINE bytes, whatever texts the event has."""
        for text in ("a\nb", "\u2028\u2029", "\x00" * 300, '"' * 300, "\\" * 300, "\U0001f600" * 300, "\u00fc" * 300):
            for kind in set(get_args(Event)) - WITHOUT:
                found = entry_of(make(kind, text), "abc", 0.0, ORIGIN)
                assert found is not None
                line = found.line()
                self.assertLessEqual(len(line), MAX_LINE)
                self.assertEqual(line.count(b"\n"), 1)
                self.assertTrue(line.isascii())
                json.loads(line)
