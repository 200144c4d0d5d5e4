"""Limits the concurrent validations of unknown tokens, so that one network cannot fill the queue to Keystone.

A token is unknown if no answer of Keystone about it is cached.  Each validation of such a token takes a place.
"""

from collections import Counter
from typing import Final

from novnc_twisted.access.failures import network_of

FREE: Final = 32
"""While fewer places than this are taken, every client may take a place.

This must not exceed the number of threads of the :class:`.KeystoneClient`: if one network takes all these places, and
no other requests to Keystone run, each of its validations must get a thread, so that none waits in the queue.  Then
the next client waits for at most one of Keystone's answers before its call gets a thread.
"""

SHARE: Final = 16
"""While at least :data:`FREE` places are taken, a network that has this many places gets no further one.

A network is an IPv4 address or an IPv6 /64.
"""


class FairShare:
    """Counts the running validations for each network."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    def enter(self, address: str) -> bool:
        """Take a place for a client; :meth:`leave` gives it back.

        :return: False if there is no place for this client now.
        """
        network = network_of(address)
        if self._taken.total() >= FREE and self._taken[network] >= SHARE:
            return False
        self._taken[network] += 1
        return True

    def leave(self, address: str) -> None:
        """Give back a place of a client."""
        network = network_of(address)
        self._taken[network] -= 1
        if not self._taken[network]:
            del self._taken[network]
