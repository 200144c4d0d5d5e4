"""The history: the ended sessions, in a log of the keyed store."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from twisted.logger import Logger

from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import IKeyedStore
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object, size_of

LOG: Final = "history"
"""The name of the log in the store."""

MAX_REPORTED: Final = 200
"""Maximum number of sessions in one report."""

MAX_PAGE: Final = 1000
"""Maximum number of sessions in one answer."""

_SCANNED: Final = 10_000
"""Maximum number of entries that one call reads, so that a filter with few matches does not keep the service busy."""

_SKEW: Final = 60.0
"""Maximum number of seconds by which the clock of a proxy may be ahead of our clock."""

_REPORTED: Final = "reported_at"
"""The field of an entry with the time of its report: Unix time in seconds, by our own clock."""

_AT_ONCE: Final = 500
"""Maximum number of entries that are read from the store at once."""

_ROOM: Final = MAX_MESSAGE - 10_000
"""Maximum number of bytes of the sessions in one answer."""

_log = Logger()


class History:
    """Stores the ended sessions that proxies report, and lists these sessions.

    :param admissions: what consoleauth knows about the sessions that it has admitted.
    :ivar retention: seconds for which ended sessions are kept; 0: none are kept.
    :param now: returns Unix time in seconds; None: the clock of this host.
    :param on_ended: called once for each report that contains admitted sessions, with the servers of these sessions.
        If two of these sessions have the same server, the server occurs twice.
    """

    def __init__(
        self,
        store: IKeyedStore,
        admissions: Admissions,
        retention: float,
        now: Callable[[], float] | None = None,
        on_ended: Callable[[Iterable[str]], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._admissions = admissions
        self.retention = retention
        self._now = now or time.time
        self._on_ended = on_ended

    async def add(self, reported: Any) -> int:
        """Append the admitted sessions of a report, and remove their admissions; return the number of these sessions.

        Unreadable sessions, and those that consoleauth has not admitted, are left out.  If ``retention`` is 0, nothing
        is appended, but the number is the same.

        :raises ServiceUnavailable: the report is not a list, or too long.
        """
        if not isinstance(reported, list) or len(reported) > MAX_REPORTED:
            raise ServiceUnavailable(f"a report is a list of at most {MAX_REPORTED} sessions")
        ended = [one for one in map(_read, reported) if one is not None and one.session.admission]
        known = await self._admissions.of([one.session for one in ended])
        # Each admission is for one session only, but a report may contain a session twice.
        admitted = {
            (one.session.token_hash, one.session.admission): (one, values)
            for one, values in zip(ended, known, strict=True)
            if values is not None
        }
        rows = [_entry(*each) for each in admitted.values()]
        if not rows:
            return 0
        if self.retention > 0:
            now = {_REPORTED: self._now()}
            await self._store.append(LOG, [row | now for row in rows], self.retention)
        # Remove the admissions only after the sessions were appended.  If this method is interrupted in between, the
        # proxy repeats its report, and the sessions are in the history twice; a page shows each of them once.
        # Call on_ended() last: it reduces the estimates of how many sessions the servers have (OpenSessions).  If this
        # method is interrupted before that call, the estimates are too high for a while, but never too low.
        await self._admissions.remove([one.session for one, _ in admitted.values()])
        if self._on_ended is not None:
            await self._on_ended(row["session"]["server_id"] for row in rows)
        return len(rows)

    async def page(self, wanted: HistoryQuery, limit: int, marker: str) -> tuple[list[dict[str, Any]], str | None]:
        """Return the sessions that match, newest first, and the marker of the next page (None: this is the last page).

        A page may have fewer sessions than ``limit``, even none, although another page follows.
        """
        rows: list[dict[str, Any]] = []
        seen: set[str] = set()
        size, scanned = 0, 0
        while scanned < _SCANNED:
            entries = await self._store.newest(LOG, marker, _AT_ONCE)
            for number, value in entries:
                reported_at = value.pop(_REPORTED, None)
                # Entries are in the order of their reports, newest first, and each session ended before its report.  So
                # if this report is older than ``since``, all further sessions ended before ``since``.  ``reported_at``
                # is consoleauth's own time.  The end time that the proxy reports is not used: with a stolen credential,
                # somebody could report a false one to hide the sessions of others.
                if wanted.since and _is_before(reported_at, wanted.since - _SKEW):
                    return rows, None
                ended = _read(value)
                if ended is not None and wanted.matches(ended):
                    row = encode_object(value)
                    if row not in seen:
                        size += size_of(row) + 1
                        if len(rows) == limit or size > _ROOM:
                            return rows, marker
                        rows.append(value)
                        seen.add(row)
                marker = number
            scanned += len(entries)
            if len(entries) < _AT_ONCE:
                return rows, None
        return rows, marker


def _is_before(value: Any, at: float) -> bool:
    """Return whether a value from the store is a time before ``at``."""
    return isinstance(value, int | float) and value < at


def _entry(ended: EndedSession, known: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of an ended session.

    :param known: what consoleauth stored when it admitted the session, such as server, user and project.  These values
        replace the reported ones.
    """
    entry = ended.to_wire()
    # The history needs neither the id of the admission nor the hash of the token.
    entry["session"] |= known | {"admission": "", "token_hash": ""}
    return entry


def _read(value: Any) -> EndedSession | None:
    try:
        return EndedSession.from_wire(value)
    except ValueError as error:
        _log.debug("an ended session cannot be read: {error}", error=error)
        return None
