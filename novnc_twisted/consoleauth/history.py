"""The history: the sessions that have ended, in a log of the keyed store."""

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

_LATE: Final = 3600.0
"""Seconds that a report may be late, because its proxy could not reach the bus."""

_AT_ONCE: Final = 500
_ROOM: Final = MAX_MESSAGE - 10_000

_log = Logger()


class History:
    """Appends what the proxies report, and finds it again.

    :param retention: seconds for which ended sessions are kept; 0: none are kept.
    """

    def __init__(self, store: IKeyedStore, retention: float) -> None:
        self._store = store
        self._retention = retention

    async def add(self, reported: Any) -> int:
        """Append the sessions of a report, and return how many; sessions that cannot be read are left out.

        :raises ServiceUnavailable: the report is no list, or too long.
        """
        if not isinstance(reported, list) or len(reported) > MAX_REPORTED:
            raise ServiceUnavailable(f"a report is a list of at most {MAX_REPORTED} sessions")
        rows = [row for each in reported if (row := _read(each)) is not None]
        if rows and self._retention > 0:
            await self._store.append(LOG, [row.to_wire() for row in rows], self._retention)
        return len(rows)

    async def page(self, wanted: HistoryQuery, limit: int, marker: str) -> tuple[list[dict[str, Any]], str | None]:
        """Return the sessions that match, newest first, and the marker of the next page; None: there is none.

        A page may have fewer sessions than ``limit``, even none, although another one follows.
        """
        rows: list[dict[str, Any]] = []
        size, scanned = 0, 0
        while scanned < _SCANNED:
            entries = await self._store.newest(LOG, marker, _AT_ONCE)
            for number, value in entries:
                ended = _read(value)
                if ended is None:
                    pass
                # Sessions are reported within seconds of their end, so older entries ended earlier.
                elif wanted.since is not None and ended.ended_at < wanted.since - _LATE:
                    return rows, None
                elif wanted.matches(ended):
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
