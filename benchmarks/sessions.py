"""The cost of lists and revocations in the console API, for 10,000 sessions on 20 proxy workers, in memory.

The workers' SessionManagers, consoleauth and the API's RPC clients are real.  The sessions are only descriptions.  The
bus is ``memory://``, which converts each call to JSON and back.  The values are the CPU time of all parts together.
"""

import json
import random
import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from benchmarks.load import LoadFailed
from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.api.console.session_view import view
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.session.manager import SessionManager
from novnc_twisted.session.rpcapi import SessionsAPI

WORKERS = 20
SESSIONS = 10_000
PAGE = 1000
OF_A_USER = 200

TITLES: Mapping[str, str] = {
    "list_s": "list of all sessions, in pages of 1,000, CPU s",
    "page_ms": "one page of 1,000, the slowest, CPU ms",
    "show_ms": "one session, median, CPU ms",
    "revoke_p99_ms": "revocation of one session, p99, CPU ms",
    "revoke_user_ms": "revocation of a user's 200 sessions, CPU ms",
}
"""What is measured, with its title in the report."""


class Session:
    """A session that is only a description."""

    def __init__(self, worker: "Worker", info: SessionInfo) -> None:
        self._worker = worker
        self.info, self.id, self.link_id = info, info.id, link_id(info.token_hash)

    def to_wire(self) -> dict[str, Any]:
        """See ISession."""
        return replace(self.info, bytes_in=self.info.bytes_in + 1).to_wire()  # a new description each time

    def end(self, cause: Refusal) -> None:
        """See ISession."""
        self._worker.sessions.pop(self.id, None)

    def change_mode(self, mode: str) -> None:
        """Do nothing."""

    def show_people(self, listed: Any) -> bool:
        """Do nothing."""
        return False


class Worker:
    """The registry of one worker."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    def unchecked(self) -> list[Any]:
        """See ISessionRegistry."""
        return []

    def find(self, wanted: SessionFilter) -> Iterable[Session]:
        """See ISessionRegistry."""
        if wanted.session_id is not None:
            found = self.sessions.get(wanted.session_id)
            return [] if found is None else [found]
        fields = {name: value for name, value in wanted.to_wire().items() if value is not None}
        link = fields.pop("link_id", None)
        return [
            one
            for one in self.sessions.values()
            if link in (None, one.link_id) and all(getattr(one.info, name) == fields[name] for name in fields)
        ]


class _System:
    def __init__(self, workers: int, sessions: int) -> None:
        self.transport = MemoryTransport(Clock())
        self.transport.start()
        self.manager = ConsoleAuthManager(self.transport, Clock(), max_tokens_per_server=0, max_tokens_per_user=0)
        _now(self.manager.start())
        self.authority = ConsoleAuthAPI(self.transport)
        self.api = SessionsAPI(self.transport)
        self.workers = [Worker() for _ in range(workers)]
        for number, worker in enumerate(self.workers):
            _now(Deferred.fromCoroutine(SessionManager(self.transport, worker, host=f"edge{number}").start()))
        source = random.Random(sessions)
        for number in range(sessions):
            self._add(source.choice(self.workers), source.randbytes(16).hex(), number)

    def _add(self, worker: Worker, session_id: str, number: int) -> None:
        server = f"00000000-0000-4000-8000-{number:012}"
        info = ConnectInfo(
            host="h", port=5900, instance_uuid=server, name="vm", user_id=_user(number), compute_host="h"
        )
        _wait(self.authority.authorize_console(session_id, info))
        described = SessionInfo(
            id=session_id,
            server_id=server,
            server_name=f"server {number}",
            user_id=_user(number),
            project_id="project",
            owners=("project", "name of the project"),
            console_type="novnc",
            client_address="192.0.2.7",
            proxy="edge",
            compute_host="h",
            phase="live",
            started_at=1.0,
            token_hash=hash_token(session_id),
        )
        worker.sessions[session_id] = Session(worker, described)

    def list_all(self) -> tuple[list[str], list[float]]:
        """Read all pages as the API does; return the ids, and the CPU seconds of each page."""
        ids: list[str] = []
        seconds: list[float] = []
        more = True
        while more:
            began = time.process_time()
            marker = ids[-1] if ids else ""
            found, more = _wait(self.api.page(SessionFilter(), limit=PAGE, marker=marker))
            json.dumps({"sessions": list(map(view, found))})
            ids += [session.id for session in found]
            seconds.append(time.process_time() - began)
        return ids, seconds


def measure(workers: int = WORKERS, sessions: int = SESSIONS) -> dict[str, float]:
    """Return the values of :data:`TITLES`.

    :raises LoadFailed: a list is not complete, or a revocation missed a session.
    """
    system = _System(workers, sessions)
    ids, pages = system.list_all()
    if len(ids) != sessions or ids != sorted(ids):
        raise LoadFailed(f"the list has {len(ids)} of {sessions} sessions")
    some = ids[:: max(1, sessions // 100)]
    shown = [_timed(system.api.find(SessionFilter(session_id=one))) for one in some]
    revoked = [_timed(system.authority.revoke(SessionFilter(token_hash=hash_token(one)))) for one in some]
    of_user = _timed(system.authority.revoke(SessionFilter(user_id=_user(1))))
    gone = set(some)
    left = [one for worker in system.workers for one in worker.sessions.values()]
    if any(one.id in gone or one.info.user_id == _user(1) for one in left):
        raise LoadFailed("a session that was revoked is left")
    return {
        "list_s": sum(pages),
        "page_ms": 1e3 * max(pages),
        "show_ms": 1e3 * sorted(shown)[len(shown) // 2],
        "revoke_p99_ms": 1e3 * sorted(revoked)[int(0.99 * (len(revoked) - 1))],
        "revoke_user_ms": 1e3 * of_user,
    }


def table(values: Mapping[str, float]) -> str:
    """Return the values as a Markdown table."""
    rows = [f"| {TITLES[name]} | {value:.3g} |" for name, value in values.items()]
    return "\n".join([f"| {SESSIONS:,} sessions on {WORKERS} workers | |", "|---|---|", *rows]) if rows else ""


def _user(number: int) -> str:
    """Return the user of a session; each user has :data:`OF_A_USER` sessions."""
    return f"user-{1 + number // OF_A_USER}"


def _timed(work: Awaitable[Any]) -> float:
    """Run a coroutine, and return its CPU seconds."""
    began = time.process_time()
    _wait(work)
    return time.process_time() - began


def _wait(work: Any) -> Any:
    return _now(Deferred.fromCoroutine(work))


def _now(work: "Deferred[Any]") -> Any:
    """Return the result of a Deferred that has already fired; on a bus in memory, calls end at once."""
    results: list[Any] = []
    work.addCallback(results.append)
    if not results:
        raise LoadFailed("a call in memory has not ended")
    return results[0]
