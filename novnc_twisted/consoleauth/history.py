"""The history: the ended sessions, in a log of the keyed store."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import IKeyedStore
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object

LOG: Final = "history"
"""The name of the log in the store."""

MAX_REPORTED: Final = 200
"""Maximum number of sessions in one report."""

MAX_PAGE: Final = 1000
"""Maximum number of sessions in one answer."""

_SCANNED: Final = 10_000
"""Maximum number of entries that one call reads, so that a filter with few matches does not keep the service busy."""

_SKEW: Final = 60.0
"""Seconds by which the clock of a proxy may be ahead of our clock."""

_REPORTED: Final = "reported_at"
"""The field of an entry with the time of its report: Unix time in seconds, by our own clock."""

_AT_ONCE: Final = 500
"""Maximum number of entries that one command reads."""

_ROOM: Final = MAX_MESSAGE - 10_000
"""Maximum number of bytes of the sessions in one answer."""

_log = Logger()


class _Ended(NamedTuple):
    """A session that was admitted and has ended.

    :ivar reported: as its proxy reported it.
    :ivar entry: its entry for the log.
    """

    reported: SessionInfo
    entry: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What is different for each admission."""
        return self.reported.token_hash, self.reported.admission


class History:
    """Stores the reports of the proxies, and lists them.

    :param admissions: what consoleauth knows about the sessions that it has admitted.
    :ivar retention: seconds for which ended sessions are kept; 0: none are kept.
    :param now: Unix time in seconds.
    :param on_ended: called with the server of each session that was admitted and has ended.
    """

    def __init__(
        self,
        store: IKeyedStore,
        admissions: Admissions,
        retention: float,
        now: Callable[[], float] | None = None,
        on_ended: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._admissions = admissions
        self.retention = retention
        self._now = now or time.time
        self._on_ended = on_ended

    async def add(self, reported: Any) -> int:
        """Append the sessions of a report; return their number.

        Unreadable sessions, and those that consoleauth has not admitted, are left out.

        :raises ServiceUnavailable: the report is not a list, or too long.
        """
        if not isinstance(reported, list) or len(reported) > MAX_REPORTED:
            raise ServiceUnavailable(f"a report is a list of at most {MAX_REPORTED} sessions")
        admitted = await gather(Deferred.fromCoroutine(self._admitted(each)) for each in reported)
        for failed in admitted:
            if isinstance(failed, Refusal):
                raise failed  # nothing was appended: the proxy repeats the report
        # By admission, since each of them is for one session.
        rows = list({row.key: row for row in admitted if isinstance(row, _Ended)}.values())
        if rows and self.retention > 0:
            now = {_REPORTED: self._now()}
            await self._store.append(LOG, [row.entry | now for row in rows], self.retention)
        for done in await gather(Deferred.fromCoroutine(self._done(row)) for row in rows):
            if isinstance(done, Refusal):
                raise done  # the session may now be in the history twice; page() shows it once
        return len(rows)

    async def _done(self, row: _Ended) -> None:
        # In this order: if this is interrupted, the server seems to have more sessions than it has, never fewer.
        await self._admissions.remove(row.reported)
        if self._on_ended is not None:
            await self._on_ended(row.entry["session"]["server_id"])

    async def _admitted(self, value: Any) -> _Ended | None:
        """Read an ended session.  Its server, user and project are those of the admission, not the reported ones."""
        ended = _read(value)
        known = None if ended is None else await self._admissions.of(ended.session)
        if ended is None or known is None:
            return None
        entry = ended.to_wire()
        # The history has no use for the admission and the hash of a token.
        entry["session"] |= known | {"admission": "", "token_hash": ""}
        return _Ended(ended.session, entry)

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
                # Entries are in the order of their reports, and a session ends before its report.  So all further
                # sessions ended before ``since``.  The reported end is not used: with a stolen credential, somebody
                # could set it to hide the sessions of others.
                if wanted.since and reported_at and reported_at < wanted.since - _SKEW:
                    return rows, None
                ended = _read(value)
                if ended is not None and wanted.matches(ended):
                    row = encode_object(value)
                    if row not in seen:
                        size += len(row) + 1
                        if len(rows) == limit or size > _ROOM:
                            return rows, marker
                        rows.append(value)
                        seen.add(row)
                marker = number
            scanned += len(entries)
            if len(entries) < _AT_ONCE:
                return rows, None
        return rows, marker


def _read(value: Any) -> EndedSession | None:
    try:
        return EndedSession.from_wire(value)
    except ValueError as error:
        _log.debug("an ended session cannot be read: {error}", error=error)
        return None
