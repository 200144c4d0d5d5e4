"""Sessions as the console API shows them."""

from datetime import UTC, datetime
from typing import Any

from novnc_twisted.contract.session_info import SessionInfo

_SHOWN = (
    *("id", "server_id", "server_name", "user_id", "project_id", "console_type", "mode", "client_address", "proxy"),
    *("compute_host", "phase", "started_at", "last_input_at", "bytes_in", "bytes_out", "recording"),
)
_MAY_BE_EMPTY = ("server_id", "server_name", "client_address")
_TIMES = ("started_at", "last_input_at")


def time_text(seconds: float | None) -> str | None:
    """Return a Unix time in ISO 8601 and UTC; None if the time is missing or out of range."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def view(session: SessionInfo) -> dict[str, Any]:
    """Return a session as a JSON object.  A value that is not known is null."""
    row = {name: getattr(session, name) for name in _SHOWN}
    for name in _MAY_BE_EMPTY:
        row[name] = row[name] or None
    row["recording"] = session.recording is not None
    for name in _TIMES:
        row[name] = time_text(row[name])
    return row
