"""``python -m benchmarks.simulation.workers PORT DOMAINS``: the workers of many proxies, with sessions.

Each worker is a real SessionManager on connections of its own; its sessions are only descriptions.  Token leases
are renewed by :mod:`.generator`, so that their cost is measured separately.
"""

import random
import resource
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.cloud_hosts import domain
from benchmarks.sessions import Session, Worker
from benchmarks.simulation.control import Obeying
from novnc_twisted.access import hash_token
from novnc_twisted.contract.roles import PROXY
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging import transport_from_url
from novnc_twisted.session.manager import SessionManager


def describe(number: int, session_id: str, host: int, domains: int) -> SessionInfo:
    """Return the description of a session of a server of a host."""
    server = domain(host, number % domains, domains)
    return SessionInfo(
        id=session_id,
        server_id=server.uuid,
        server_name=server.name,
        user_id=server.user_id or "",
        project_id=server.project_id or "",
        owners=(server.project_id or "",),
        console_type="novnc",
        client_address=f"198.51.{number // 250 % 250}.{number % 250}",
        proxy="edge",
        compute_host=f"host{host}",
        phase="live",
        started_at=1.0,
        token_hash=hash_token(session_id),
    )


class Workers:
    """All workers of this process."""

    def __init__(self, reactor: Any, port: int, domains: int) -> None:
        self._reactor, self._port, self._domains = reactor, port, domains
        self._workers: list[Worker] = []
        self._source = random.Random(1)
        self._sessions = 0

    async def grow(self, workers: int, sessions: int, hosts: int) -> dict[str, Any]:
        """Add workers and sessions until there are this many, on servers of ``hosts`` hosts.

        :returns: the maximum memory of this process so far in KiB, and the id of a new session; the id is empty if no
            session was made.
        """
        while len(self._workers) < workers:
            transport = transport_from_url(self._reactor, f"redis://127.0.0.1:{self._port}/0", PROXY)
            await transport.start()
            worker = Worker()
            await SessionManager(transport, worker, host=f"edge{len(self._workers)}").start()
            self._workers.append(worker)
        found = ""
        for number in range(self._sessions, sessions):
            worker = self._workers[number % workers]
            found = self._source.randbytes(16).hex()
            worker.sessions[found] = Session(worker, describe(number, found, number % hosts, self._domains))
        self._sessions = max(sessions, self._sessions)
        return {"session": found, "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def main(reactor: Any, port: str, domains: str) -> Deferred[None]:
    """Run the parent's commands."""
    workers = Workers(reactor, int(port), int(domains))

    async def cpu() -> float:
        return time.process_time()

    return Obeying.start(grow=workers.grow, cpu=cpu)


if __name__ == "__main__":
    react(main, sys.argv[1:])
