"""The rows of :class:`.shared_table.SharedTable`: their encoding, and the reports that are made from them.

A row has a fixed size and three parts:

* the head: the state of the row, the length of the text, and the CRC-32 of the text;
* the values that change while the session lives (see :func:`present`);
* the text: a list of fields, separated by NUL characters.  Encoding them as JSON would take several times as much CPU
  time.
"""

import math
import struct
from collections.abc import Collection
from typing import Final, NamedTuple
from zlib import crc32

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.mode import CONTROL, MODES
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import SessionClosed

SIZE: Final = 512
"""Bytes of a row; a page of memory holds a whole number of rows."""

FREE, LIVE, ENDED = 0, 1, 2
"""The states of a row: no session, a live one, and one that has ended.

With consoleauth, a session that has ended keeps its row until consoleauth has confirmed the report of its end, or the
report was dropped.  If nova or a token plug-in checks the tokens, the row becomes free at once.
"""

_HEAD: Final = struct.Struct("<BxHI")  # the state of the row, the length and the CRC-32 of the text
_STATE: Final = struct.Struct("<QQdB")  # the values that change: see present()

AT_STATE: Final = _HEAD.size
"""Where the bytes of :func:`present` begin in a row."""

_AT_TEXT: Final = AT_STATE + _STATE.size
_ROOM: Final = SIZE - _AT_TEXT


class Row(NamedTuple):
    """What a row contains about a session.  An unknown text is empty; an unknown time is 0.

    While the session is live, only the last four fields (from ``bytes_in`` on) are written again, about every ten
    seconds.  So if the worker is killed, these four are some seconds old.

    :ivar token_hash: the SHA-256 of the token, by which consoleauth finds its own data about the session.
    :ivar peer: address and port of the client that is connected to the proxy: the viewer, or a reverse proxy.
    :ivar phase: the phase that the session had reached.
    :ivar admission: the id of consoleauth's record of the session's admission.
    :ivar started_at: Unix time in seconds at which the set-up began (see ``SessionInfo``).
    :ivar cause: the name of the refusal that ended the session; empty while the session is live.
    :ivar detail: what the log says besides the cause.
    :ivar ended_at: Unix time in seconds.
    :ivar bytes_in: bytes from the viewer.
    :ivar bytes_out: bytes to the viewer.
    :ivar last_input_at: Unix time in seconds at which the viewer last sent RFB data.
    :ivar mode: ``control`` or ``view``.
    """

    id: str
    token_hash: str
    console_type: str
    address: str
    user_id: str
    project_id: str
    server_id: str
    server_name: str
    phase: str
    peer: str = ""
    cause: str = ""
    detail: str = ""
    admission: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    last_input_at: float = 0.0
    mode: str = CONTROL

    def closed(self, cause: type[Refusal], detail: str, now: float) -> SessionClosed:
        """Return the event for the end of a live session whose worker was killed.

        :param cause: why the session ended; the row of a live session contains no cause.
        :param detail: what the log says besides the cause.
        :param now: Unix time of the end, in seconds.
        """
        return SessionClosed(
            session_id=self.id,
            cause=cause.__name__,
            close_code=cause.close_code,
            detail=detail,
            phase=self.phase,
            seconds=max(0.0, now - self.started_at),
            console_type=self.console_type,
            peer=self.peer,
            address=self.address,
            user_id=self.user_id,
            project_id=self.project_id,
            instance_uuid=self.server_id,
            instance_name=self.server_name,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            link_id=link_id(self.token_hash),
        )

    def ended(self, proxy: str) -> EndedSession:
        """Return what the history keeps of a session that has ended.

        :param proxy: the ``host`` option.
        """
        session = SessionInfo(
            id=self.id,
            server_id=self.server_id,
            server_name=self.server_name,
            user_id=self.user_id or None,
            project_id=self.project_id or None,
            console_type=self.console_type,
            mode=self.mode,
            client_address=self.address,
            proxy=proxy,
            phase=self.phase,
            started_at=self.started_at,
            last_input_at=self.last_input_at or None,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            admission=self.admission,
            token_hash=self.token_hash,
        )
        return EndedSession(session=session, ended_at=self.ended_at, cause=self.cause, detail=self.detail)


_TEXTS: Final = Row._fields.index("started_at")
"""The number of fields before ``started_at``; all of them are texts."""

_WRITTEN: Final = Row._fields.index("bytes_in")
"""The number of fields in the text of a row: those before ``started_at``, and the two times."""

_ABOUT, _IDS = ("server_name", "peer", "detail"), ("user_id", "project_id")
"""Fields that are shortened if a row would be too long; the ids only if nothing else helps."""


def encode(row: Row, state: int) -> bytes:
    """Return a row as bytes, at most :data:`SIZE`; texts are shortened if they do not fit.

    :raises ValueError: even the shortest texts do not fit.
    """
    # The first text that fits is used.
    for shortened, limit in (((), 0), (_ABOUT, 60), (_ABOUT, 20), (_ABOUT + _IDS, 20), (_ABOUT + _IDS, 4)):
        text = _text(row, shortened, limit)
        if len(text) <= _ROOM:
            changing = present(row.bytes_in, row.bytes_out, row.last_input_at, row.mode)
            return _HEAD.pack(state, len(text), crc32(text)) + changing + text
    raise ValueError("a session's texts are too long")


def present(bytes_in: int, bytes_out: int, last_input_at: float, mode: str) -> bytes:
    """Return the part of a row that changes while the session lives; see :class:`Row`."""
    return _STATE.pack(bytes_in, bytes_out, last_input_at, MODES.index(mode))


def _text(row: Row, shortened: Collection[str], limit: int) -> bytes:
    if shortened:
        row = row._replace(**{name: getattr(row, name)[:limit] for name in shortened})
    texts: tuple[str, ...] = row[:_TEXTS]  # type: ignore[assignment]  # the first fields, all of them texts
    text = "\0".join(texts)
    if text.count("\0") != _TEXTS - 1:  # one of the texts contains the separator
        text = "\0".join(each.replace("\0", " ") for each in texts)
    return f"{text}\0{row.started_at!r}\0{row.ended_at!r}".encode("utf-8", "replace")


def decode(data: bytes) -> list[Row]:
    """Return the rows of a table that contain a session.  Incomplete and invalid rows are left out."""
    found = (_row(data[at : at + SIZE]) for at in range(0, len(data), SIZE))
    return [row for row in found if row is not None]


def _row(data: bytes) -> Row | None:
    if len(data) < _AT_TEXT:
        return None
    state, length, checksum = _HEAD.unpack_from(data)
    text = data[_AT_TEXT : _AT_TEXT + length]
    if state not in (LIVE, ENDED) or len(text) < length or crc32(text) != checksum:
        return None
    values = text.decode("utf-8", "replace").split("\0")
    try:
        times = [float(each) for each in values[_TEXTS:]]
    except ValueError:
        return None
    # A worker of another version may have written other fields.
    if len(values) != _WRITTEN:
        return None
    bytes_in, bytes_out, last_input_at, mode = _STATE.unpack_from(data, AT_STATE)
    if mode >= len(MODES) or not math.isfinite(last_input_at):
        return None
    row = Row._make([*values[:_TEXTS], *times, bytes_in, bytes_out, last_input_at, MODES[mode]])
    # Only a session that has ended has a cause.
    return row if bool(row.cause) == (state == ENDED) else None
