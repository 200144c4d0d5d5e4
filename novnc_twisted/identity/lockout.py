"""Lock-out after failed log-ins: clients that guess passwords wait longer and longer; other clients usually do not.

Failures are counted in three ways.

* By user name and client address.  An IPv6 address counts as its /64, which belongs to one customer.  When the
  failures reach a limit, this user is locked out from this address.  Each further failure doubles the time
  of the lock-out.
* By client address, for all user names.  When the failures reach another limit, the address is locked out.  Users who
  logged in from the address recently are not locked out, because an office may have one address.  The owner of an IPv6
  /48 has 65,536 networks of /64, so failures are also counted by /56 and /48, with higher limits.
* By user name, for all addresses.  These failures only delay the user's log-ins.  If they locked users out, any client
  could lock out any user.  Log-ins from an address from which the user logged in recently are not delayed.

Unknown names are counted like known ones, so responses do not reveal which users exist.  There is one exception: a
client whose address is locked out can learn which users logged in from this address recently.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from novnc_twisted.access.failures import network_of
from novnc_twisted.identity.failure_table import FailureTable, doubled

MAX_ENTRIES: Final = 10_000
"""Maximum number of entries of each table.  A further entry replaces the one whose last failure or log-in is oldest."""

KNOWN_FOR: Final = 24 * 3600.0
"""Seconds after a log-in for which the address counts as known for that user."""

MAX_DELAY: Final = 4.0
"""Maximum number of seconds by which a log-in is delayed."""

WIDER_IPV6: Final = ((56, 4), (48, 16))
"""Prefix lengths of the wider IPv6 networks, each with the factor for ``failures_per_address``."""

_FIRST_DELAY: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutSettings:
    """When failed log-ins lock out, and for how long.

    :ivar failures: failed log-ins of one user from one address, before this user is locked out from this address.  0
        switches off this limit, and also ``failures_per_address`` and ``failures_per_user``.
    :ivar failures_per_address: failed log-ins from one address, for all user names, before the address is locked out.
        The limit is four times as high for an IPv6 /56, and 16 times as high for a /48.  0 is off.
    :ivar failures_per_user: failed log-ins of one user, from all addresses, before log-ins are delayed; 0 is off.
    :ivar first: seconds of the first lock-out; each further failure doubles this time.
    :ivar longest: maximum seconds of a lock-out.  Failures are remembered for this many seconds after the last failure
        or, if there is a lock-out, after its end.
    """

    failures: int = 5
    failures_per_address: int = 50
    failures_per_user: int = 100
    first: float = 2.0
    longest: float = 900.0


class Lockout:
    """Counts failed log-ins, in bounded memory.

    :param clock: returns the time in seconds.
    :param max_entries: the limit of each table.
    """

    def __init__(self, settings: LockoutSettings, clock: Callable[[], float], max_entries: int = MAX_ENTRIES) -> None:
        self._settings = settings
        self._clock = clock
        # A random key, so that nobody can choose names with equal digests.
        self._key = token_bytes(16)
        self._max = max_entries
        first, longest = settings.first, settings.longest
        self._pairs, self._addresses, self._users = (
            FailureTable(clock, first=first, longest=longest, max_entries=max_entries) for _ in range(3)
        )
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of entries of all tables."""
        return len(self._pairs) + len(self._addresses) + len(self._users) + len(self._known)

    def locked_for(self, user: str, address: str) -> float:
        """Return the seconds for which this user is locked out from this address; 0: not locked out."""
        if not self._settings.failures:
            return 0.0
        pair, networks, _ = self._keys(user, address)
        entries = [self._pairs.get(pair)]
        # At a known address, failures of other users do not lock this user out.  The user's own failures still do.
        if not self._is_known(pair):
            entries += [self._addresses.get(network) for network, _ in networks]
        now = self._clock()
        return max([0.0, *(entry.locked_until - now for entry in entries if entry is not None)])

    def delay(self, user: str, address: str) -> float:
        """Return the seconds by which a log-in is delayed, because many log-ins of this user failed.

        The delay is 0.5 s at first.  It doubles after each further ``failures_per_user`` failures, up to
        :data:`MAX_DELAY`.
        """
        allowed = self._settings.failures_per_user
        if not self._settings.failures or not allowed:
            return 0.0
        pair, _, name = self._keys(user, address)
        entry = self._users.get(name)
        if entry is None or entry.count < allowed or self._is_known(pair):
            return 0.0
        return min(MAX_DELAY, doubled(_FIRST_DELAY, (entry.count - allowed) // allowed))

    def failed(self, user: str, address: str) -> float:
        """Count a failed log-in, and return the seconds for which this user is now locked out from this address."""
        settings = self._settings
        if not settings.failures:
            return 0.0
        pair, networks, name = self._keys(user, address)
        self._pairs.count(pair, settings.failures)
        for network, times in networks:
            self._addresses.count(network, times * settings.failures_per_address)
        # 0: failures from all addresses never lock the user out (see the module's docstring).
        self._users.count(name, 0)
        return self.locked_for(user, address)

    def succeeded(self, user: str, address: str) -> None:
        """Forget this user's failures from this address after a log-in, and remember the address as known for the user.

        Failures of other users from this address stay: a user who guesses passwords of others must not be able to clear
        the failures.
        """
        if not self._settings.failures:
            return
        pair, networks, name = self._keys(user, address)
        entry = self._pairs.get(pair)
        if entry is not None:
            count = entry.count
            self._pairs.take_back(pair, count)
            for network, _ in networks:
                self._addresses.take_back(network, count)
            self._users.take_back(name, count)
        self._known[pair] = self._clock() + KNOWN_FOR
        self._known.move_to_end(pair)
        while len(self._known) > self._max:
            self._known.popitem(last=False)

    def _is_known(self, pair: bytes) -> bool:
        """Whether the user logged in from this address within :data:`KNOWN_FOR`."""
        return self._known.get(pair, 0.0) > self._clock()

    def _keys(self, user: str, address: str) -> tuple[bytes, list[tuple[bytes, int]], bytes]:
        """Return the keys for the pair of user and address, for the networks of the address, and for the user.

        Each network comes with its factor for ``failures_per_address``.

        Keys are short, however long a name is.
        """
        network = network_of(address)
        networks = [(network, 1), *_wider_networks(address)]
        counted = [(self._digest("address", text), times) for text, times in networks]
        return self._digest("both", user, network), counted, self._digest("user", user)

    def _digest(self, *parts: str) -> bytes:
        # With lengths, so that two different tuples cannot give the same text.
        joined = "\0".join(f"{len(part)}:{part}" for part in parts)
        return blake2b(joined.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _wider_networks(address: str) -> list[tuple[str, int]]:
    """Return the networks of :data:`WIDER_IPV6` around an IPv6 address; an empty list for other addresses."""
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return []
    if ip.ipv4_mapped is not None:
        return []
    return [(str(ipaddress.ip_network((ip, length), strict=False)), times) for length, times in WIDER_IPV6]
