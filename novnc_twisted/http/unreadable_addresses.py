"""Warns if a trusted proxy writes something into ``X-Forwarded-For`` that is not an address."""

from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.access.display import clean

INTERVAL: Final = 60.0
"""Minimum number of seconds between two warnings."""

_log: Final = Logger(namespace="novnc_twisted.http")


class UnreadableAddresses:
    """Warns about clients whose address is :data:`.forwarded.UNKNOWN`, at most once a minute."""

    def __init__(self, clock: IReactorTime) -> None:
        """Prepare to warn.

        :param clock: measures the time since the last warning.
        """
        self._clock = clock
        self._warned_at: float | None = None

    def warn(self, peer: str, forwarded_for: Sequence[str]) -> None:
        """Log a warning about a request with an unknown client address, unless one was logged within the last minute.

        :param peer: the address of the trusted proxy.
        :param forwarded_for: the values of X-Forwarded-For in the request.
        """
        now = self._clock.seconds()
        if self._warned_at is None or now - self._warned_at >= INTERVAL:
            self._warned_at = now
            _log.warn(
                "the X-Forwarded-For from the trusted proxy {peer} contains no valid client address: '{value}'. All "
                "clients without a valid address count as one client, 'unknown'; with [consoleauth] bind_address, they "
                "are refused. Let the proxy write the client's address into X-Forwarded-For (logged at most once a "
                "minute)",
                peer=clean(peer),
                value=clean(", ".join(forwarded_for)[-200:]),
            )
