"""The entries of the audit trail: the events that have an entry, and the fields of each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

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

MAX_LINE: Final = 4096
"""Maximum number of bytes of a line, including the line break.  If a line would be longer, all its values that are
strings are shortened."""

OK, REFUSED = "ok", "refused"
"""The values of the field ``result``."""

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token.made": "NT100",
        "token.used": "NT101",
        "token.refused": "NT102",
        "token.revoked": "NT103",
        "api_token.made": "NT110",
        "api_token.used": "NT111",
        "api_token.revoked": "NT112",
        "session.opened": "NS200",
        "session.refused": "NS201",
        "session.closed": "NS202",
        "session.changed": "NS203",
        "session.shared": "NS204",
        "session.control": "NS205",
        "server.power": "NV300",
        "server.screenshot": "NV301",
        "server.keys": "NV302",
        "audit.gap": "NA900",
    }
)
"""The code of each kind of entry.  Codes and names are a stable interface: they never change."""

_CUT: Final = 30  # characters that remain of each string in a line that would be too long
_LIVE: Final = "live"

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the trail.

    :ivar name: a key of :data:`CODES`.
    :ivar time: Unix time in seconds.
    :ivar fields: all fields, including those that every kind of entry has.
    """

    name: str
    time: float
    fields: Fields

    @property
    def refused(self) -> bool:
        """Whether the entry is about something that was refused."""
        return bool(self.fields["result"] == REFUSED)

    def line(self) -> bytes:
        """Return the entry as one line of JSON in ASCII, at most :data:`MAX_LINE` bytes long."""
        line = _encode(self.fields)
        if len(line) > MAX_LINE:
            cut = {name: value[:_CUT] if isinstance(value, str) else value for name, value in self.fields.items()}
            line = _encode(cut)
        return line


def entry_of(event: Event, uid: str, now: float, origin: Mapping[str, str]) -> Entry | None:
    """Return the entry for an event; None if there is no entry for this type of event.

    :param uid: a unique text for the entry.
    :param now: Unix time in seconds.
    :param origin: fields that name this process.
    """
    made = _MAKERS.get(type(event))
    if made is None:
        return None
    name, more = made(event)
    about = {
        "session": getattr(event, "session_id", "") or None,
        "user": event.user_id or None,  # type: ignore[union-attr]  # each type in _MAKERS is a ConsoleEvent
        "project": event.project_id or None,  # type: ignore[union-attr]
        "server": event.instance_uuid or None,  # type: ignore[union-attr]
        "server_name": event.instance_name or None,  # type: ignore[union-attr]
        "console_type": event.console_type or None,  # type: ignore[union-attr]
        "address": event.address or None,
        "link": event.link_id or None,  # type: ignore[union-attr]
    }
    return make(name, uid, now, origin, about | more)


def make(name: str, uid: str, now: float, origin: Mapping[str, str], more: Fields) -> Entry:
    """Make an entry; for the arguments, see :func:`entry_of`.

    :param name: a key of :data:`CODES`.
    :param more: fields of the entry and their values; the other fields get their default values.
    """
    return Entry(
        name,
        now,
        {
            "event": name,
            "code": CODES[name],
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "uid": uid,
            **_DEFAULTS,
            **more,
            **origin,
        },
    )


_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        **dict.fromkeys(("session", "user", "project", "server", "server_name", "console_type", "address", "link")),
        "result": OK,
        **dict.fromkeys(("cause", "detail", "bytes", "seconds")),
    }
)
"""The fields that every entry has besides ``event``, ``code``, ``time``, ``uid`` and those of ``origin``, with their
default values."""


def _encode(fields: Mapping[str, Any]) -> bytes:
    # ASCII, so that no reader takes a Unicode line separator in a text for the end of the line.
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _opened(event: SessionOpened) -> tuple[str, Fields]:
    return "session.opened", {
        "seconds": round(event.seconds, 6),
        "peer": event.peer or None,
        "mode": event.mode or None,
    }


def _closed(event: SessionClosed) -> tuple[str, Fields]:
    live = event.phase == _LIVE
    return "session.closed" if live else "session.refused", {
        "result": OK if live else REFUSED,
        "cause": event.cause,
        "detail": event.detail or None,
        "phase": event.phase,
        "peer": event.peer or None,
        "seconds": round(event.seconds, 6),
        "bytes": event.bytes_in + event.bytes_out,
        "bytes_in": event.bytes_in,
        "bytes_out": event.bytes_out,
    }


def _changed(event: SessionChanged) -> tuple[str, Fields]:
    return "session.changed", {"mode": event.mode}


def _shared(event: ConsoleShared) -> tuple[str, Fields]:
    return "session.shared", {"mode": event.mode, "expires_at": event.expires_at, "shared_link": event.shared_link_id}


def _control(event: ControlChanged) -> tuple[str, Fields]:
    return "session.control", {"action": event.action, "other_session": event.other_session_id or None}


def _made(event: TokenMade) -> tuple[str, Fields]:
    return "token.made", {"expires_at": event.expires_at}


def _used(event: TokenUsed) -> tuple[str, Fields]:
    return "token.used", {}


def _refused(event: TokenRefused) -> tuple[str, Fields]:
    return "token.refused", {"result": REFUSED, "cause": event.cause, "detail": event.detail or None}


def _revoked(event: TokenRevoked) -> tuple[str, Fields]:
    return "token.revoked", {"tokens": event.tokens, "detail": event.reason or None}


def _refusal(cause: str) -> Fields:
    """Return the fields that describe a refusal.  An empty cause: nothing was refused, so return no fields."""
    return {"result": REFUSED, "cause": cause} if cause else {}


def _power(event: PowerAction) -> tuple[str, Fields]:
    return "server.power", {"action": event.action, **_refusal(event.cause)}


def _screenshot(event: ScreenshotTaken) -> tuple[str, Fields]:
    return "server.screenshot", _refusal(event.cause) or {"bytes": event.size}


def _keys(event: KeysSent) -> tuple[str, Fields]:
    return "server.keys", {"keys": event.keys, **_refusal(event.cause)}


def _api_token(event: APITokenChanged) -> tuple[str, Fields]:
    more = {"detail": event.name, "mode": event.right, "expires_at": event.expires_at}
    return f"api_token.{event.change}", more


_MAKERS: Final[Mapping[type, Callable[[Any], tuple[str, Fields]]]] = MappingProxyType(
    {
        TokenMade: _made,
        TokenUsed: _used,
        TokenRefused: _refused,
        TokenRevoked: _revoked,
        APITokenChanged: _api_token,
        SessionOpened: _opened,
        SessionClosed: _closed,
        SessionChanged: _changed,
        ConsoleShared: _shared,
        ControlChanged: _control,
        PowerAction: _power,
        ScreenshotTaken: _screenshot,
        KeysSent: _keys,
    }
)
"""Type of event -> a function that returns the name of the entry, and the fields that this type sets."""
