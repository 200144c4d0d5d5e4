"""A limit for the work that unknown clients cause, so that one network cannot use all of it."""

from collections import Counter
from typing import Final

from novnc_twisted.access.failures import network_of

FREE: Final = 32
"""Places that anybody may take."""

SHARE: Final = 16
"""Beyond :data:`FREE` places, one network (an IPv4 address or an IPv6 /64) may have so many."""


class FairShare:
    """Counts the work that is under way for each network."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    def enter(self, address: str) -> bool:
        """Take a place for a client, which :meth:`leave` returns.

        :return: False: there is no place for this client now.
        """
        network = network_of(address)
        if self._taken.total() >= FREE and self._taken[network] >= SHARE:
            return False
        self._taken[network] += 1
        return True

    def leave(self, address: str) -> None:
        """Return a place."""
        network = network_of(address)
        self._taken[network] -= 1
        if not self._taken[network]:
            del self._taken[network]
