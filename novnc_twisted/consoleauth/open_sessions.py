"""An upper bound for the number of each server's sessions.

If ``max_sessions_per_server`` is the only limit that is set, the proxies are asked for their numbers of sessions only
when this bound has reached the limit.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from novnc_twisted.consoleauth.admissions import LONGEST
from novnc_twisted.messaging.interfaces import IKeyedStore

SETTLED: Final = 60.0
"""Within this number of seconds after an admission, its session has begun or failed.

The number also covers differences between the clocks of the hosts.
"""


class OpenSessions:
    """A record in the store for each admitted session of a server, under ``used:server:UUID:TIME:RANDOM``.

    consoleauth adds a record when it admits a session, and removes one when a proxy reports the end of a session.  So a
    server has at least as many records as sessions, with the exceptions below.  It may have more records: no report
    follows if the viewer left before consoleauth's answer reached the proxy, or if the proxy lost its report (for
    example, at a power failure).  When the number of a server's records reaches the limit of its sessions, the proxies
    count its sessions, and :meth:`drop_surplus` drops surplus records.

    The exceptions are three kinds of sessions without a record: those that began while the limit was off, those that
    last longer than 30 days, and those that were live when the store lost its data.  The end of a session of the first
    kind removes the record of another session.

    :param now: returns Unix time in seconds; None: the clock of this host.
    """

    def __init__(self, store: IKeyedStore, now: Callable[[], float] | None = None) -> None:
        self._store = store
        self._now = now or time.time

    async def add(self, server: str) -> None:
        """Record that a session of a server was admitted."""
        key = f"{_of_server(server)}:{int(self._now())}:{secrets.token_hex(8)}"
        await self._store.put(key, {}, LONGEST, _of_server(server))

    async def remove(self, server: str, count: int) -> None:
        """Remove ``count`` records of a server, because this number of its sessions has ended.

        A record belongs to no particular session, so the oldest ones are removed.
        """
        oldest = (await self.of(server))[:count]
        await self._store.remove(*oldest)

    async def of(self, server: str) -> Sequence[str]:
        """Return the records of a server, the oldest first."""
        found: Sequence[str] = await self._store.indexed(_of_server(server))
        return found

    async def drop_surplus(self, records: Sequence[str], counted: int) -> None:
        """Drop the oldest records until at most ``counted`` records are older than a minute.

        Records of the last minute stay in any case: another consoleauth may have admitted sessions that no proxy has
        counted yet.

        :param records: what :meth:`of` returned before the sessions were counted.
        :param counted: the number of the server's sessions that the proxies have counted.
        """
        # The fourth part of a key is the time of its admission.
        settled = [one for one in records if int(one.split(":")[3]) + SETTLED < self._now()]
        await self._store.remove(*settled[: max(0, len(settled) - counted)])


def _of_server(server: str) -> str:
    return f"used:server:{server}"
