"""The tokens that have, or had just now, a live session: their viewers may come back though nova has dropped them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract.connect_info import ConnectInfo

GRACE: Final = 60.0
"""Seconds for which a token is remembered after its last use, or after the last sign of its session."""

MAX_ADMITTED: Final = 20_000
"""Tokens that are remembered; the one that was used least recently is forgotten first."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a token opened.

    :ivar instance_uuid: the server.
    :ivar project_id: its project at that time.
    :ivar until: when this is forgotten.
    :ivar live: whether the token had a live session.
    """

    instance_uuid: str
    project_id: str | None
    until: float
    live: bool


class AdmittedTokens:
    """Remembers what the tokens opened, for each client address and under their hashes, in bounded memory.

    :param now: seconds of any clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # In the order of ``until``: each change moves its entry to the end.
        self._entries: dict[tuple[str, str], Admitted] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, token: str, address: str, info: ConnectInfo) -> None:
        """Remember what nova, or a lease, has just admitted; a session may follow."""
        known = self._entries.get(_key(token, address))
        live = known is not None and known.live and known.instance_uuid == info.instance_uuid
        self._put(_key(token, address), info.instance_uuid, info.project_id, live)

    def renew(self, token: str, address: str) -> None:
        """Notice that the session of a token lives, or has just ended."""
        key = _key(token, address)
        known = self._entries.get(key)
        if known is not None:
            self._put(key, known.instance_uuid, known.project_id, True)

    def find(self, token: str, address: str) -> Admitted | None:
        """What a token may open again for this client address, if it had a live session until less than 60 s ago."""
        known = self._entries.get(_key(token, address))
        return known if known is not None and known.live and self._now() < known.until else None

    def _put(self, key: tuple[str, str], instance_uuid: str, project_id: str | None, live: bool) -> None:
        now = self._now()
        self._entries.pop(key, None)
        self._entries[key] = Admitted(instance_uuid, project_id, now + GRACE, live)
        while len(self._entries) > MAX_ADMITTED or self._oldest().until <= now:
            del self._entries[next(iter(self._entries))]

    def _oldest(self) -> Admitted:
        return next(iter(self._entries.values()))


def _key(token: str, address: str) -> tuple[str, str]:
    # Hashed: the memory of the proxy then holds no usable tokens.
    return hash_token(token), address
