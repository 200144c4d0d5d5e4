"""Remembers the tokens of sessions that are live or have just ended, if nova's API checks the tokens of a proxy.

The viewers of these sessions may reconnect even if nova has dropped their tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract.connect_info import ConnectInfo

GRACE: Final = 60.0
"""Seconds for which a token is remembered after its last use or its last renewal by a session."""

MAX_ADMITTED: Final = 20_000
"""Maximum number of entries, one for each pair of a token and a client address.

A further one drops the entry that was used or renewed longest ago.
"""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The server that a token opened.

    :ivar instance_uuid: the server.
    :ivar project_id: the server's project when the token was admitted; None: unknown.
    :ivar until: when this record expires.
    :ivar live: whether the token had a live session.
    """

    instance_uuid: str
    project_id: str | None
    until: float
    live: bool


class AdmittedTokens:
    """Remembers which server each token has opened, separately for each client address.

    :param now: returns the time of any clock, in seconds.
    :ivar share: sends an entry to the other workers: a list of the token's hash, the client address, the server's UUID
        and its project.  Called regularly while a session lives, and when the session ends.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.share: Callable[[list[str | None]], None] = lambda entry: None
        # In the order of ``until``: each change moves its entry to the end.
        self._entries: dict[tuple[str, str], Admitted] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, token: str, address: str, info: ConnectInfo) -> None:
        """Remember a token that nova or :meth:`find` knew, and that the proxy therefore admitted.

        The session may still fail to begin.  So :meth:`find` finds the token only after a live session has called
        :meth:`renew` for it.
        """
        known = self._entries.get(_key(token, address))
        live = known is not None and known.live and known.instance_uuid == info.instance_uuid
        self._put(_key(token, address), info.instance_uuid, info.project_id, live)

    def renew(self, token: str, address: str) -> None:
        """Record that the session of a token is live, or has just ended."""
        key = _key(token, address)
        known = self._entries.get(key)
        if known is not None:
            self._put(key, known.instance_uuid, known.project_id, True)
            self.share([*key, known.instance_uuid, known.project_id])

    def take(self, entry: list[str | None]) -> None:
        """Remember an entry of another worker (see ``share``), because its viewer may reconnect to this worker."""
        token_hash, address, instance_uuid, project_id = entry
        self._put((str(token_hash), str(address)), str(instance_uuid), project_id, True)

    def find(self, token: str, address: str) -> Admitted | None:
        """Return what a token opened for this client address; None: the token is not remembered.

        A token is found only if it had a live session, and only for :data:`GRACE` seconds after the last :meth:`add`,
        :meth:`renew` or :meth:`take` for it.
        """
        known = self._entries.get(_key(token, address))
        return known if known is not None and known.live and self._now() < known.until else None

    def _put(self, key: tuple[str, str], instance_uuid: str, project_id: str | None, live: bool) -> None:
        now = self._now()
        self._entries.pop(key, None)
        self._entries[key] = Admitted(instance_uuid, project_id, now + GRACE, live)
        # The new entry is the last one and has not expired, so it stays.
        while len(self._entries) > MAX_ADMITTED or self._oldest().until <= now:
            del self._entries[next(iter(self._entries))]

    def _oldest(self) -> Admitted:
        return next(iter(self._entries.values()))


def _key(token: str, address: str) -> tuple[str, str]:
    # Hashed, so that the memory of the proxy contains no usable tokens.
    return hash_token(token), address
