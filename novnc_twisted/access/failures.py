"""Failed guesses of a token by client address: after too many of them in a minute, the address has to wait."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

WINDOW: Final = 60.0
"""Seconds."""

MAX_ADDRESSES: Final = 10_000
"""Addresses that are remembered; beyond, the one that failed longest ago is forgotten."""


class Failures:
    """Counts the failures of the last minute for each address (for IPv6: each /64, which is what one customer has).

    Successes are not counted.  An address over the limit is free again when its failures are a minute old: half of
    the memory that exact times would need is saved by an estimate from two windows, as reverse proxies do it.
    """

    def __init__(self, limit: int, clock: Callable[[], float], max_addresses: int = MAX_ADDRESSES) -> None:
        """Start with no failures.

        :param limit: failures in a minute that are allowed; 0: any number.
        :param clock: the time in seconds.
        """
        self._limit = limit
        self._clock = clock
        self._max = max_addresses
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()  # key -> window, its count, the one before
        self._checking: set[str] = set()  # networks over the limit of which a token is being checked

    @property
    def limit(self) -> int:
        """Failures in a minute that are allowed; 0 is off."""
        return self._limit

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, address: str) -> None:
        """One more failure of this address."""
        if not self._limit:
            return
        key = network_of(address)
        window, now, before = self._present(key)
        self._counts[key] = (window, now + 1, before)
        self._counts.move_to_end(key)
        while len(self._counts) > self._max:
            self._counts.popitem(last=False)

    def too_many(self, address: str) -> bool:
        """Whether this address has failed too often and must wait."""
        if not self._limit or not self._counts:  # mostly nobody has failed
            return False
        _, now, before = self._present(network_of(address))
        passed = self._clock() % WINDOW / WINDOW
        return now + before * (1 - passed) >= self._limit

    def begin_check(self, address: str) -> "Check | None":
        """Begin to check a token that came from this address.

        Beyond the limit one token at a time is still checked.  Otherwise one client that guesses tokens would lock out
        everybody behind the same NAT address.

        :return: the check, which the caller ends when the answer has arrived; None: the client has to wait.
        """
        if not self.too_many(address):
            return _UNLIMITED
        key = network_of(address)
        if key in self._checking:
            return None
        self._checking.add(key)
        return Check(self._checking, key)

    def _present(self, key: str) -> tuple[int, int, int]:
        window = int(self._clock() // WINDOW)
        seen, now, before = self._counts.get(key, (window, 0, 0))
        if seen == window:
            return window, now, before
        return window, 0, now if seen == window - 1 else 0


class Check:
    """A token that is being checked."""

    __slots__ = ("_checking", "_key")

    def __init__(self, checking: set[str] | None = None, key: str = "") -> None:
        self._checking = checking
        self._key = key

    def end(self) -> None:
        """The answer is there; the next token from this address may be checked.  Later calls do nothing."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.discard(self._key)


_UNLIMITED: Final = Check()  # ending it does nothing, however often


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What is counted by: an IPv4 address (also one mapped into IPv6), an IPv6 /64, else the text itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
