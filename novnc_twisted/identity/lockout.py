"""Failed log-ins of users: who guesses passwords waits ever longer, and nobody else does.

Counted by a user's name together with the client's address (for IPv6: the /64, which is what one customer has), and by
the address alone: from a number of failures on each further one locks for twice as long.  The owner of an IPv6 /48 has
65,536 networks of /64, so failures are also counted by /56 and /48, with higher limits.  What an address fails locks
nobody out who logged in from there lately: many share an office's address.  A name's failures from all addresses
together lock nobody out, else an attacker could lock anybody out: from a number on they only slow, and not the
addresses from which the user logged in lately.

A name counts as it was typed, whether there is such a user or not: what is answered tells nobody which it is.  The one
exception: who made an address be locked out can learn which names logged in from that very address lately.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from novnc_twisted.access.failures import network_of

MAX_ENTRIES: Final = 10_000
"""Entries of each table; beyond, the one that failed longest ago is forgotten."""

KNOWN_FOR: Final = 24 * 3600.0
"""Seconds for which an address from which a user logged in is known as theirs."""

MAX_DELAY: Final = 4.0
"""Seconds by which a log-in is slowed at most."""

WIDER_IPV6: Final = ((56, 4), (48, 16))
"""Prefix lengths of the wider IPv6 networks, and how often ``failures_per_address`` each of them is allowed."""

_FIRST_DELAY: Final = 0.5
_MAX_DOUBLINGS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutSettings:
    """When failed log-ins lock out, and for how long.

    :ivar failures: so many failed log-ins of one user from one address lock, and each further one.  0: nothing of
        this is done.
    :ivar failures_per_address: the same for one address, whatever the user, but for those who logged in from there
        lately; four times as many for an IPv6 /56 and 16 times as many for a /48; 0 is off.
    :ivar failures_per_user: the same for one user, whatever the address, which only slows; 0 is off.
    :ivar first: seconds of the first lock-out, doubled by each further failure.
    :ivar longest: seconds of the longest; failures are forgotten so long after the last one, or after its lock-out.
    """

    failures: int = 5
    failures_per_address: int = 50
    failures_per_user: int = 100
    first: float = 2.0
    longest: float = 900.0


@dataclass(slots=True)
class _Entry:
    count: int
    locked_until: float
    forgotten_at: float


class Lockout:
    """Counts failed log-ins, in bounded memory.

    :param clock: the time in seconds.
    """

    def __init__(self, settings: LockoutSettings, clock: Callable[[], float], max_entries: int = MAX_ENTRIES) -> None:
        self._settings = settings
        self._clock = clock
        self._max = max_entries
        self._key = token_bytes(16)
        self._pairs: OrderedDict[bytes, _Entry] = OrderedDict()
        self._addresses: OrderedDict[bytes, _Entry] = OrderedDict()
        self._users: OrderedDict[bytes, _Entry] = OrderedDict()
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """How many entries are held."""
        return len(self._pairs) + len(self._addresses) + len(self._users) + len(self._known)

    def locked_for(self, user: str, address: str) -> float:
        """Seconds for which this user can't log in from this address; 0: now."""
        if not self._settings.failures:
            return 0.0
        pair, networks, _ = self._keys(user, address)
        entries = [self._entry(self._pairs, pair)]
        if not self._is_known(pair):
            entries += [self._entry(self._addresses, network) for network, _ in networks]
        now = self._clock()
        return max(0.0, *(entry.locked_until - now for entry in entries if entry is not None), 0.0)

    def delay(self, user: str, address: str) -> float:
        """Seconds by which a log-in that is not locked out is put off, since so many fail in this user's name."""
        allowed = self._settings.failures_per_user
        if not self._settings.failures or not allowed:
            return 0.0
        pair, _, name = self._keys(user, address)
        entry = self._entry(self._users, name)
        if entry is None or entry.count < allowed or self._is_known(pair):
            return 0.0
        return min(MAX_DELAY, _doubled(_FIRST_DELAY, (entry.count - allowed) // allowed))

    def failed(self, user: str, address: str) -> float:
        """A log-in failed; seconds for which it locks this user out from this address, 0 where it does not."""
        settings = self._settings
        if not settings.failures:
            return 0.0
        pair, networks, name = self._keys(user, address)
        self._count(self._pairs, pair, settings.failures)
        for network, times in networks:
            self._count(self._addresses, network, times * settings.failures_per_address)
        self._count(self._users, name, 0)
        return self.locked_for(user, address)

    def succeeded(self, user: str, address: str) -> None:
        """A log-in succeeded: what this user failed from here is taken back, as if it had never been.

        What other users failed from here stays: who has an account must not clear the way for guesses at another's.
        """
        if not self._settings.failures:
            return
        pair, networks, name = self._keys(user, address)
        entry = self._entry(self._pairs, pair)
        if entry is not None:
            del self._pairs[pair]
            for table, key in (*((self._addresses, network) for network, _ in networks), (self._users, name)):
                other = self._entry(table, key)
                if other is not None:
                    other.count -= entry.count
                    if other.count <= 0:
                        del table[key]
        self._known[pair] = self._clock() + KNOWN_FOR
        self._known.move_to_end(pair)
        while len(self._known) > self._max:
            self._known.popitem(last=False)

    def _is_known(self, pair: bytes) -> bool:
        """Whether the user logged in from there lately."""
        return self._known.get(pair, 0.0) > self._clock()

    def _count(self, table: OrderedDict[bytes, _Entry], key: bytes, allowed: int) -> None:
        """One more failure; locks from the ``allowed``-th on."""
        now, settings = self._clock(), self._settings
        entry = self._entry(table, key)
        if entry is None:
            entry = table[key] = _Entry(0, now, now)
        entry.count += 1
        if allowed and entry.count >= allowed:
            entry.locked_until = now + min(settings.longest, _doubled(settings.first, entry.count - allowed))
        entry.forgotten_at = max(now, entry.locked_until) + settings.longest
        table.move_to_end(key)
        while len(table) > self._max:
            table.popitem(last=False)

    def _entry(self, table: OrderedDict[bytes, _Entry], key: bytes) -> _Entry | None:
        entry = table.get(key)
        if entry is not None and entry.forgotten_at <= self._clock():
            del table[key]
            return None
        return entry

    def _keys(self, user: str, address: str) -> tuple[bytes, list[tuple[bytes, int]], bytes]:
        """The keys of the pair, of the address and its wider networks with their multiples, and of the user.

        They are short, however long a name is, and no name can be chosen to hit another's entry.
        """
        network = network_of(address)
        networks = [(network, 1), *_wider_networks(address)]
        counted = [(self._digest("address", text), times) for text, times in networks]
        return self._digest("both", user, network), counted, self._digest("user", user)

    def _digest(self, *parts: str) -> bytes:
        joined = "\0".join(f"{len(part)}:{part}" for part in parts)
        return blake2b(joined.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _wider_networks(address: str) -> list[tuple[str, int]]:
    """The networks of :data:`WIDER_IPV6` around an IPv6 address; none for other addresses."""
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return []
    if ip.ipv4_mapped is not None:
        return []
    return [(str(ipaddress.ip_network((ip, length), strict=False)), times) for length, times in WIDER_IPV6]


def _doubled(seconds: float, times: int) -> float:
    return seconds * 2.0 ** min(times, _MAX_DOUBLINGS)
