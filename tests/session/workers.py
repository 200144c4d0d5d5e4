"""Simulated workers of proxies on an in-memory bus; they list their sessions as real workers do."""

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.session.manager import SessionManager

SERVER = "11111111-2222-4333-8444-555555555555"


class WorkerSession:
    """A session of a simulated worker."""

    def __init__(self, info: SessionInfo) -> None:
        self.info = info
        self.id = info.id
        self.cause: Refusal | None = None
        self.modes: list[str] = []

    def to_wire(self) -> dict[str, Any]:
        return self.info.to_wire()

    def end(self, cause: Refusal) -> None:
        self.cause = cause

    def change_mode(self, mode: str) -> None:
        self.modes.append(mode)


class Worker:
    """A worker and its sessions.

    :ivar asked: the limit of each get_sessions call.
    :ivar hangs: whether it does not answer.
    """

    def __init__(self, transport: MemoryTransport, host: str) -> None:
        self.sessions: dict[str, WorkerSession] = {}
        self.hangs = False
        self.asked: list[int] = []
        self.manager = SessionManager(transport, self, host=host)
        get_sessions = self.manager.get_sessions

        async def answer(**wanted: Any) -> Any:
            self.asked.append(wanted["limit"])
            if self.hangs:
                await Deferred()
            return await get_sessions(**wanted)

        self.manager.get_sessions = answer  # type: ignore[method-assign]

    def add(self, session_id: str, **values: Any) -> WorkerSession:
        known: dict[str, Any] = {
            "server_id": SERVER,
            "server_name": "myserver20",
            "user_id": "alice",
            "project_id": "red",
            "owners": ("red-id", "red"),
            "console_type": "novnc",
            "client_address": "192.0.2.7",
            "proxy": "claimed",
            "compute_host": "one",
            "phase": "live",
            "started_at": 1.5,
            "token_hash": "0a" * 32,
        }
        session = self.sessions[session_id] = WorkerSession(SessionInfo(id=session_id, **(known | values)))
        return session

    def unchecked(self) -> list[Any]:
        """See ISessionRegistry."""
        return []

    def find(self, wanted: SessionFilter) -> Iterable[WorkerSession]:
        """See ISessionRegistry."""
        fields = {name: value for name, value in wanted.to_wire().items() if value is not None}
        owner, session_id = fields.pop("owner", None), fields.pop("session_id", None)
        link = fields.pop("link_id", None)
        return [
            one
            for one in self.sessions.values()
            if session_id in (None, one.id)
            and link in (None, link_id(one.info.token_hash))
            and (owner is None or owner in (one.info.owners or ()))
            and all(getattr(one.info, name) == value for name, value in fields.items())
        ]


async def worker(transport: MemoryTransport, host: str = "edge1") -> Worker:
    """Start a worker."""
    made = Worker(transport, host)
    await made.manager.start()
    return made
