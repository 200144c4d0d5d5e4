"""The events: their fields contain no secret, and no text that could forge a log line."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted.events
from novnc_twisted.events import records
from novnc_twisted.events.records import ControlChanged, Event, SessionClosed, TokenMade, TokenRefused
from tests.support.handed_out import secret

KINDS = get_args(Event)
REQUIRED: dict[str, Any] = {
    "service": "novncproxy",
    "cause": "InvalidToken",
    "close_code": 4401,
    "phase": "token",
    "seconds": 0.1,
    "expires_at": 1.0,
    "mode": "view",
    "action": "start",
}
CHOSEN_BY_US = {
    *("service", "cause", "option", "phase", "session_id", "other_session_id", "console_type", "mode", "action"),
    *("link_id", "shared_link_id", "right"),
}
"""Fields whose texts are chosen by no client and no other host."""
CHOSEN_BY_A_PROXY = {"session_id", "other_session_id", "console_type"}
"""The exceptions to this in ControlChanged: consoleauth reads them in the answers of proxies."""


def make(kind: Any, text: str) -> Any:
    """Return an event with this text in each field that clients or other hosts choose."""
    chosen_by_us = CHOSEN_BY_US - (CHOSEN_BY_A_PROXY if kind is ControlChanged else set())
    values = {
        field.name: REQUIRED.get(field.name, text)
        for field in fields(kind)
        if field.name in REQUIRED or (field.type is str and field.name not in chosen_by_us)
    }
    return kind(**values)


class RecordTests(SynchronousTestCase):
    def test_texts_are_cleaned(self) -> None:
        """Whatever a client or another host sends is one bounded line without a token in it."""
        token = secret("5ad3c1f2-1111-4222-8333-444455556666")
        for kind in KINDS:
            event = make(kind, f"http://evil/?token={token}\r\n\x1b[31m{'x' * 5000}")
            checked = 0
            for field in fields(event):
                value = getattr(event, field.name)
                if isinstance(value, str) and field.name not in REQUIRED:
                    self.assertNotIn(token, value, field.name)
                    self.assertTrue(value.isprintable(), field.name)
                    self.assertLessEqual(len(value), 300)
                    checked += bool(value)
            self.assertGreater(checked, 1, kind)

    def test_no_field_for_a_secret(self) -> None:
        for kind in KINDS:
            names = {field.name for field in fields(kind)}
            self.assertEqual(names & {"token", "token_hash", "password", "path", "url"}, set())

    def test_a_mistyped_field_is_an_error(self) -> None:
        for kind in KINDS:
            self.assertFalse(hasattr(make(kind, "x"), "__dict__"), kind)

    def test_names(self) -> None:
        """No two kinds have the same name."""
        self.assertEqual(len({kind.event for kind in KINDS}), len(KINDS))

    def test_every_kind_is_complete(self) -> None:
        """Each kind is in ``Event``, in the names of the package, and in the document."""
        defined = {each for each in vars(records).values() if isinstance(each, type) and "event" in vars(each)}
        self.assertEqual(defined, set(KINDS), "add it to Event")
        document = (Path(__file__).parents[2] / "docs" / "framework.rst").read_text()
        for kind in KINDS:
            self.assertIn(kind.__name__, dir(novnc_twisted.events))
            self.assertIn(f"autoclass:: novnc_twisted.events.{kind.__name__}\n", document)

    def test_every_field_is_described(self) -> None:
        for kind in KINDS:
            described = "".join(each.__doc__ or "" for each in kind.__mro__)
            for field in fields(kind):
                self.assertIn(f":ivar {field.name}:", described, kind.__name__)

    def test_every_kind_happens(self) -> None:
        """Some module outside of the package makes an event of each kind."""
        package = Path(novnc_twisted.events.__file__).parent
        sources = "".join(path.read_text() for path in package.parent.rglob("*.py") if not path.is_relative_to(package))
        for kind in KINDS:
            # No assertRegex, whose message would be the whole text.
            made = re.search(rf"\b{kind.__name__}\(|\breported\([\w.]+, {kind.__name__}\b", sources)
            self.assertIsNotNone(made, f"nothing makes a {kind.__name__}")

    def test_unknown_texts_are_empty(self) -> None:
        closed = SessionClosed(cause="TokenMissing", close_code=4401, phase="token", seconds=0.1)
        self.assertEqual((closed.user_id, closed.instance_uuid, closed.bytes_in), ("", "", 0))
        self.assertEqual(TokenMade(expires_at=1.0).address, "")
        self.assertEqual(TokenRefused(cause="InvalidToken").detail, "")
