"""How many sessions there may be."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from novnc_twisted.access.connect_info import ConnectInfo
from novnc_twisted.errors import TooManySessions


class SessionLimits:
    """Counts the sessions of a process, those being set up among them; may be shared by several fronts."""

    def __init__(self, max_sessions: int = 0, max_sessions_per_server: int = 0) -> None:
        """Start with none; 0 switches a limit off."""
        self._max = max_sessions
        self._max_per_server = max_sessions_per_server
        self._servers: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._servers.total()

    @contextmanager
    def seat(self, info: ConnectInfo) -> Iterator[None]:
        """A place for one session, given back at the end of the block.

        :raises TooManySessions: where none is free.
        """
        server = info.instance_uuid or info.socket or f"{info.host}:{info.port}"
        if self._max and len(self) >= self._max:
            raise TooManySessions(f"max_sessions is {self._max}")
        if self._max_per_server and self._servers[server] >= self._max_per_server:
            raise TooManySessions(f"max_sessions_per_server is {self._max_per_server}")
        self._servers[server] += 1
        try:
            yield
        finally:
            self._servers[server] -= 1
            if not self._servers[server]:
                del self._servers[server]
