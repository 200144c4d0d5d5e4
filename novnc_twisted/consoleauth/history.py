"""The history: the sessions that have ended, in a log of the keyed store."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from twisted.logger import Logger

from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import IKeyedStore
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object

LOG: Final = "history"
"""The name of the log in the store."""

MAX_REPORTED: Final = 200
"""Sessions in one report, at most."""

MAX_PAGE: Final = 1000
"""Sessions in one answer, at most."""

_SCANNED: Final = 10_000
"""Entries that one call reads, at most: a filter that matches few of them must not keep the service busy."""

_SKEW: Final = 60.0
"""Seconds by which the clock of a proxy may be ahead."""

_REPORTED: Final = "reported_at"
"""The field of an entry that says when it was appended, in Unix time by our own clock."""

_AT_ONCE: Final = 500
_ROOM: Final = MAX_MESSAGE - 10_000

_log = Logger()


class History:
    """Appends what the proxies report, and finds it again.

    :param retention: seconds for which ended sessions are kept; 0: none are kept.
    :param now: Unix time in seconds.
    """

    def __init__(self, store: IKeyedStore, retention: float, now: Callable[[], float] | None = None) -> None:
        self._store = store
        self._retention = retention
        self._now = now or time.time

    async def add(self, reported: Any) -> int:
        """Append the sessions of a report, and return how many; sessions that cannot be read are left out.

        :raises ServiceUnavailable: the report is no list, or too long.
        """
        if not isinstance(reported, list) or len(reported) > MAX_REPORTED:
            raise ServiceUnavailable(f"a report is a list of at most {MAX_REPORTED} sessions")
        rows = [row for each in reported if (row := _read(each)) is not None]
        if rows and self._retention > 0:
            now = {_REPORTED: self._now()}
            await self._store.append(LOG, [row.to_wire() | now for row in rows], self._retention)
        return len(rows)

    async def page(self, wanted: HistoryQuery, limit: int, marker: str) -> tuple[list[dict[str, Any]], str | None]:
        """Return the sessions that match, newest first, and the marker of the next page; None: this is the last one.

        A page may have fewer sessions than ``limit``, even none, although another one follows.
        """
        rows: list[dict[str, Any]] = []
        size, scanned = 0, 0
        while scanned < _SCANNED:
            entries = await self._store.newest(LOG, marker, _AT_ONCE)
            for number, value in entries:
                reported_at = value.pop(_REPORTED, None)
                # No session ends after its report, and older entries were reported earlier.  What a proxy says about
                # the end decides nothing here: a stolen credential could hide the sessions of others with it.
                if wanted.since and reported_at and reported_at < wanted.since - _SKEW:
                    return rows, None
                ended = _read(value)
                if ended is not None and wanted.matches(ended):
                    size += len(encode_object(value)) + 1
                    if len(rows) == limit or size > _ROOM:
                        return rows, marker
                    rows.append(value)
                marker = number
            scanned += len(entries)
            if len(entries) < _AT_ONCE:
                return rows, None
        return rows, marker


def _read(value: Any) -> EndedSession | None:
    """Read an ended session without the hash of its token, which nobody needs any more."""
    try:
        ended = EndedSession.from_wire(value)
    except ValueError as error:
        _log.debug("an ended session cannot be read: {error}", error=error)
        return None
    return replace(ended, session=replace(ended.session, token_hash=""))
