"""Limits for the number of sessions."""

from collections import Counter

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import TooManyForServer, TooManySessions


class SessionLimits:
    """Counts the sessions of a process that have passed the check of their token.

    The fronts of a process (the noVNC proxy and the XVP proxy) may share one object.
    """

    def __init__(self, max_sessions: int = 0, max_sessions_per_server: int = 0) -> None:
        """Start without sessions; 0 switches a limit off."""
        self._max = max_sessions
        self._max_per_server = max_sessions_per_server
        self._servers: Counter[str] = Counter()  # VNC server -> number of its sessions
        self._live: Counter[str] = Counter()  # VNC server -> number of its sessions whose set-up is over

    def change(self, max_sessions: int, max_sessions_per_server: int) -> None:
        """Use other limits for new sessions."""
        self._max, self._max_per_server = max_sessions, max_sessions_per_server

    def __len__(self) -> int:
        return self._servers.total()

    def take_slot(self, info: ConnectInfo) -> "SessionSlot":
        """Take a slot for one session.

        The slot becomes free when :meth:`SessionSlot.give_back` is called, or when a ``with`` block with the slot ends.

        :raises TooManySessions: ``max_sessions`` is reached.
        :raises TooManyForServer: ``max_sessions_per_server`` is reached.  This is a subclass of TooManySessions.
        """
        server = _server_of(info)
        if self._max and len(self) >= self._max:
            raise TooManySessions(f"max_sessions is {self._max}")
        if self._max_per_server and self._servers[server] >= self._max_per_server:
            raise TooManyForServer(f"max_sessions_per_server is {self._max_per_server}")
        return SessionSlot(self, server)

    def live_sessions(self, info: ConnectInfo) -> int:
        """Return how many sessions with this server are live."""
        return self._live[_server_of(info)]


def _server_of(info: ConnectInfo) -> str:
    """Return the key of a VNC server, which is equal for all sessions with this server."""
    # With a token plug-in, the UUID of the VM is unknown, and the address of the VNC server is the key.
    return info.instance_uuid or info.socket or f"{info.host}:{info.port}"


class SessionSlot:
    """The slot of one session."""

    __slots__ = ("_is_live", "_is_taken", "_limits", "_server")

    def __init__(self, limits: SessionLimits, server: str) -> None:
        self._limits = limits
        self._server = server
        self._is_taken = True
        self._is_live = False
        limits._servers[server] += 1

    def count_as_live(self) -> None:
        """Count the session as live from now on."""
        if self._is_taken:
            self._is_live = True
            self._limits._live[self._server] += 1

    def give_back(self) -> None:
        """Free the slot.  Later calls do nothing."""
        if self._is_taken:
            self._is_taken = False
            _subtract(self._limits._servers, self._server)
            if self._is_live:
                _subtract(self._limits._live, self._server)

    def __enter__(self) -> None:
        """Do nothing: take_slot() has taken the slot."""

    def __exit__(self, *raised: object) -> None:
        self.give_back()


def _subtract(counts: Counter[str], server: str) -> None:
    counts[server] -= 1
    # A Counter keeps zeros, so it would grow by one entry for each server ever used.
    if not counts[server]:
        del counts[server]
