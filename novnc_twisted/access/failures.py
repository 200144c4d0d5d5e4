"""Counts failed token checks of each client address; after too many, its tokens are checked one at a time."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

WINDOW: Final = 60.0
"""Seconds for which a failure counts."""

MAX_ADDRESSES: Final = 10_000
"""Maximum number of remembered addresses.  A further one replaces the address that failed longest ago."""


class Failures:
    """Counts the failures of the last minute for each IPv4 address and each IPv6 /64, the network of one customer.

    Successes are not counted.  Only the numbers of failures in the present and in the previous minute are stored,
    because the times of all failures would need more memory.  So the number in the last 60 seconds is an estimate.
    """

    def __init__(self, limit: int, clock: Callable[[], float], max_addresses: int = MAX_ADDRESSES) -> None:
        """Begin without failures.

        :param limit: after this number of failures in a minute, tokens from an address are checked one at a time; 0: no
            limit.
        :param clock: returns the time in seconds.
        """
        self._limit = limit
        self._clock = clock
        self._max = max_addresses
        # For each network: the minute of the last failure (the clock's time // WINDOW), the failures in this minute,
        # and the failures in the minute before.
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        # The networks that have reached the limit, and have a token that is being checked.
        self._checking: set[str] = set()

    @property
    def limit(self) -> int:
        """After this number of failures in a minute, tokens from an address are checked one at a time; 0: no limit."""
        return self._limit

    def change(self, limit: int) -> None:
        """Use another limit."""
        self._limit = limit

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, address: str) -> None:
        """Count a failure of this address."""
        if not self._limit:
            return
        key = network_of(address)
        window, now, before = self._present(key)
        self._counts[key] = (window, now + 1, before)
        # Ordered by the last failure, so that the address that failed longest ago is forgotten first.
        self._counts.move_to_end(key)
        while len(self._counts) > self._max:
            self._counts.popitem(last=False)

    def too_many(self, address: str) -> bool:
        """Return whether the failures of this address have reached the limit."""
        if not self._limit or not self._counts:  # the usual case, without a look-up
            return False
        _, now, before = self._present(network_of(address))
        passed = self._clock() % WINDOW / WINDOW
        # The last 60 seconds contain the present minute so far, and the fraction (1 - passed) of the minute before.
        # The failures of that minute are assumed to be spread evenly.
        return now + before * (1 - passed) >= self._limit

    def begin_check(self, address: str) -> "Check | None":
        """Begin to check a token from this address.

        Once the address has reached the limit, only one of its tokens is checked at a time.  If no token were checked,
        one client that guesses tokens would lock out all clients behind the same NAT address.

        :return: the check, which the caller ends when it has the result; None: the caller must refuse the request,
            because another token from this address is being checked.
        """
        if not self.too_many(address):
            return _UNLIMITED
        key = network_of(address)
        if key in self._checking:
            return None
        self._checking.add(key)
        return Check(self._checking, key)

    def _present(self, key: str) -> tuple[int, int, int]:
        """Return the present minute, and a network's failures in it and in the minute before."""
        window = int(self._clock() // WINDOW)
        seen, now, before = self._counts.get(key, (window, 0, 0))
        if seen == window:
            return window, now, before
        return window, 0, now if seen == window - 1 else 0


class Check:
    """The check of a token, until :meth:`end` is called.

    ``Check()``, without arguments, is for an address below the limit, or for a request without a token.  No other token
    is refused because of such a check.
    """

    __slots__ = ("_checking", "_key")

    def __init__(self, checking: set[str] | None = None, key: str = "") -> None:
        self._checking = checking
        self._key = key

    def end(self) -> None:
        """Let the next token from this address be checked.  Further calls do nothing."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.discard(self._key)


_UNLIMITED: Final = Check()  # for all networks below the limit; its end() does nothing


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Return the network for which an address counts: the IPv4 address, the IPv6 /64, or else the text itself.

    An IPv4-mapped IPv6 address counts as IPv4.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        # For example "unknown", or "" for a unix socket.  Cut the text, because another process may have sent it.
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    # One customer has at least a /64, and can use a new address of it for each attempt.
    return str(ipaddress.ip_network((ip, 64), strict=False))
