"""Finds sessions by the link_id of their token (:func:`novnc_twisted.access.tokens.link_id`)."""

from collections.abc import Iterable


class TokenIndex:
    """The ids of the sessions of each token.

    With this index, a revocation by token need not hash the tokens of all sessions.  The index takes about 70 bytes for
    a session: its keys are numbers of 60 bits instead of whole link_ids, and it makes a set for a token only when a
    second session uses this token.
    """

    def __init__(self) -> None:
        self._ids: dict[int, str | set[str]] = {}

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._ids)

    def add(self, link: str, session_id: str) -> None:
        """Add a session.

        :param link: the link_id of its token.
        """
        key = _key(link)
        ids = self._ids.setdefault(key, session_id)
        if isinstance(ids, set):
            ids.add(session_id)
        elif ids != session_id:
            self._ids[key] = {ids, session_id}

    def remove(self, link: str, session_id: str) -> None:
        """Remove a session that was added."""
        key = _key(link)
        ids = self._ids[key]
        if isinstance(ids, set):
            ids.discard(session_id)
        if not isinstance(ids, set) or not ids:
            del self._ids[key]

    def find(self, link: str) -> Iterable[str]:
        """Return the ids of this token's sessions.  Rarely, ids of another token's sessions are among them."""
        ids = self._ids.get(_key(link), ())
        return [ids] if isinstance(ids, str) else list(ids)


def _key(link: str) -> int:
    # 60 bits: a Python integer of this size takes 32 bytes, a larger one 48.
    return int(link[:15], 16)
