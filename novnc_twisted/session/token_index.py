"""Finds sessions by the hash of their token."""

from collections.abc import Iterable

from novnc_twisted.access.tokens import hash_token


class TokenIndex:
    """The ids of the sessions of each token.

    A revocation by token must not hash the tokens of all sessions.  The index takes about 70 bytes for a session: the
    keys are small numbers instead of hashes, and a token that only one session uses has no set.
    """

    def __init__(self) -> None:
        self._ids: dict[int, str | set[str]] = {}

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._ids)

    def add(self, token: str, session_id: str) -> None:
        """Add a session."""
        key = _key(hash_token(token))
        ids = self._ids.setdefault(key, session_id)
        if isinstance(ids, set):
            ids.add(session_id)
        elif ids != session_id:
            self._ids[key] = {ids, session_id}

    def remove(self, token: str, session_id: str) -> None:
        """Remove a session that was added."""
        key = _key(hash_token(token))
        ids = self._ids[key]
        if isinstance(ids, set):
            ids.discard(session_id)
        if not isinstance(ids, set) or not ids:
            del self._ids[key]

    def find(self, token_hash: str) -> Iterable[str]:
        """Return the ids of the sessions that may have a token; another token rarely has the same key."""
        ids = self._ids.get(_key(token_hash), ())
        return [ids] if isinstance(ids, str) else list(ids)


def _key(token_hash: str) -> int:
    # 60 bits: a Python integer of this size takes 32 bytes, a larger one 48.
    return int(token_hash[:15], 16)
