"""A cache of Keystone's answers about valid tokens."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from novnc_twisted.identity.keystone.token import KeystoneToken

MAX_ENTRIES: Final = 10_000
"""Maximum number of cached answers.  A further answer replaces the answer that was used longest ago."""

MAX_RULES: Final = 100
"""Maximum number of access rules of a cached token.  A token with more rules is not cached.

Rules take memory, and users decide how many rules their tokens have.
"""


class _Entry(NamedTuple):
    token: KeystoneToken
    asked_at: float


class TokenCache:
    """Caches Keystone's answers about valid tokens, by the SHA-256 of the token.  Refused tokens are not cached.

    :param clock: returns the time in seconds; it may be monotonic.
    :param lifetime: seconds for which an answer is remembered; 0: not at all.
    """

    def __init__(self, clock: Callable[[], float], lifetime: float) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @staticmethod
    def key(token: str) -> bytes:
        """Return the key of a token."""
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

    def get(self, key: bytes, max_age: float) -> KeystoneToken | None:
        """Return Keystone's answer if it is still remembered and less than ``max_age`` seconds old, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        age = self._clock() - entry.asked_at
        if age >= self._lifetime:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry.token if age < max_age else None

    def put(self, key: bytes, token: KeystoneToken, asked_at: float) -> None:
        """Remember an answer.

        :param asked_at: when Keystone was asked, by the clock.
        """
        self.drop(key)
        if self._lifetime <= 0 or len(token.access_rules or ()) > MAX_RULES:
            return
        while len(self._entries) >= MAX_ENTRIES:
            self._entries.popitem(last=False)
        self._entries[key] = _Entry(token, asked_at)

    def drop(self, key: bytes) -> None:
        """Forget a token."""
        self._entries.pop(key, None)
