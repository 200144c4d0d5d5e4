"""A worker is killed: the history and the audit trail show how its sessions ended, and other sessions go on."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.compute.harness import A
from tests.integration.sessions_case import SessionsCase
from tests.integration.test_takeover import main_pid
from tests.support.ports import free_port
from tests.support.twistd import Twistd
from tests.support.viewer import Viewer

UPDATE = b"\3" + bytes(9)


class NoVNCTest(SessionsCase):
    """Two workers of a noVNC proxy.

    :ivar folder: the RuntimeDirectory of the proxy.
    """

    workers = 2
    forked = True
    """Whether :mod:`tests.support.forked` starts the proxy; not for a take-over, which runs the command line again."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def conf(self, workers: int, port: int | None = None, **default: str) -> str:
        self.trail = Path(self.mktemp()).absolute()
        self.monitoring = free_port()
        before = super().conf(workers, port, **default)
        return f"{before}\n[audit]\nfile = {self.trail}\n[monitoring]\nlisten = 127.0.0.1:{self.monitoring}\n"

    async def started(self, command: str = "novncproxy", workers: int = 0) -> Twistd:
        with mock.patch.dict(os.environ, RUNTIME_DIRECTORY=str(self.folder)):
            process = Twistd.start(self, command, self.conf(workers or self.workers), forked=self.forked)
        await process.ready()
        return process

    def entries(self, event: str) -> list[dict[str, Any]]:
        lines = self.trail.read_text().splitlines() if self.trail.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    async def history(self, count: int) -> dict[str, dict[str, Any]]:
        """The sessions that have ended, by their ids, as soon as there are that many."""
        rows: list[dict[str, Any]] = []
        while len(rows) < count:
            await deferLater(reactor, 0.1)
            # No list while Redis does not answer.
            rows = (await self.ask("GET", f"/history?server_id={A}"))[1].get("sessions", [])
        self.assertEqual(len(rows), count)
        return {row["id"]: row for row in rows}

    async def opened_by(self, number: int) -> tuple[str, Viewer, Any]:
        """Open a session on this worker; return its id, its viewer, and the VNC server's side."""
        others = [pid for one, pid in self.pids.items() if one != number]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        # Read from the audit trail: the API's list would wait for the stopped workers.
        before = {entry["session"] for entry in self.entries("session.opened")}
        url = await self.link()
        viewer = await self.viewers.open(url)
        server = await self.vnc.live.get()
        opened: set[str] = set()
        while not opened:
            await deferLater(reactor, 0.02)
            opened = {entry["session"] for entry in self.entries("session.opened")} - before
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        return opened.pop(), viewer, server

    async def lives(self, viewer: Viewer, server: Any) -> None:
        viewer.stream.write(UPDATE)
        while (await server.inbox.get())[0] != 3:
            pass

    async def test_a_worker_is_killed(self) -> None:
        await self.begin()
        lost = [await self.opened_by(1) for _ in range(2)]
        kept, viewer, server = await self.opened_by(2)
        ids = {session_id for session_id, _, _ in lost}
        # This one has ended, but its report has not been sent yet.
        left, leaving, _ = await self.opened_by(1)
        await leaving.leave()
        while left not in {entry["session"] for entry in self.entries("session.closed")}:
            await deferLater(reactor, 0.02)
        first = self.pids[1]
        os.kill(first, signal.SIGKILL)
        await self.proxy.seen(f"worker 1 (pid {first}) ended by signal 9")
        closed = {entry["session"]: entry for entry in self.entries("session.closed")}
        self.assertEqual(set(closed), ids | {left})
        links = {entry["session"]: entry["link"] for entry in self.entries("session.opened")}
        for session_id in ids:
            entry = closed[session_id]
            self.assertEqual((entry["cause"], entry["server"], entry["user"]), ("WorkerLost", A, "admin"))
            self.assertEqual(entry["detail"], "worker 1 ended by signal 9 (Killed)")
            self.assertEqual(entry["link"], links[session_id])
        rows = await self.history(3)
        self.assertEqual(set(rows), ids | {left})
        self.assertEqual({rows[one]["cause"] for one in ids}, {"WorkerLost"})
        self.assertNotEqual(rows[left]["cause"], "WorkerLost")
        for row in rows.values():
            self.assertEqual((row["server_id"], row["phase"], row["client_address"]), (A, "live", "127.0.0.1"))
            self.assertGreaterEqual(row["ended_at"], row["started_at"])
        # The sessions of other workers go on, and end as usual.
        await self.lives(viewer, server)
        found = await self.metrics(self.monitoring)
        self.assertEqual(found['novnc_sessions_ended_total{cause="WorkerLost"}'], 2)
        self.assertEqual(await self.proxy.stop(), 0, self.proxy.output)
        self.assertEqual((await self.history(4))[kept]["cause"], "Stopping")
        opened = sorted(entry["session"] for entry in self.entries("session.opened"))
        self.assertEqual(sorted(entry["session"] for entry in self.entries("session.closed")), opened)
        self.assertNotIn("Traceback", self.proxy.output)

    async def test_all_workers_are_killed_at_the_end(self) -> None:
        """The workers are killed while the service stops; the supervisor reports their sessions before it ends."""
        await self.begin()
        sessions = {(await self.opened_by(number))[0] for number in (1, 2)}
        for pid in self.pids.values():
            os.kill(pid, signal.SIGSTOP)
        self.proxy.process.signalProcess("TERM")
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(await self.proxy.ended, 0, self.proxy.output)
        self.assertEqual({entry["session"] for entry in self.entries("session.closed")}, sessions)
        self.assertEqual(set(await self.history(2)), sessions)

    async def test_the_whole_proxy_is_killed(self) -> None:
        """Its next start, here without workers, reports the sessions of all workers."""
        await self.begin()
        await self.kill_and_restart({(await self.opened_by(number))[0] for number in (1, 2)}, workers=1)

    async def test_a_proxy_without_workers_is_killed(self) -> None:
        """Its next start, here with workers, reports its sessions."""
        self.workers = 1
        await self.begin()
        await self.opened()
        while not (opened := self.entries("session.opened")):
            await deferLater(reactor, 0.02)
        await self.kill_and_restart({entry["session"] for entry in opened}, workers=2)

    async def kill_and_restart(self, sessions: set[str], workers: int) -> None:
        """Kill the proxy and start it with this number of workers: it reports the sessions, and removes its files."""
        # Stopped first: otherwise, the workers would end cleanly when their supervisor is gone.
        for sign in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (*self.pids.values(), main_pid(self.proxy)):
                os.kill(pid, sign)
        await self.proxy.ended
        self.workers = workers
        self.proxy = await self.started(self.command)
        causes = {(one, row["cause"]) for one, row in (await self.history(len(sessions))).items()}
        self.assertEqual(causes, {(one, "WorkerLost") for one in sessions})
        self.assertEqual({entry["session"] for entry in self.entries("session.closed")}, sessions)
        self.assertEqual(await self.proxy.stop(), 0, self.proxy.output)
        self.assertEqual(list(self.folder.glob("sessions-*")), [])

    async def test_a_worker_of_the_previous_process_is_killed(self) -> None:
        """After a take-over, the worker's supervisor still reports its sessions."""
        self.forked = False
        await self.begin()
        lost, _, _ = await self.opened_by(1)
        kept, viewer, server = await self.opened_by(2)
        first = self.pids[1]
        os.kill(main_pid(self.proxy), signal.SIGUSR2)
        await self.proxy.seen(") has taken over")
        successor = main_pid(self.proxy)
        gone = self.watched(successor)
        os.kill(first, signal.SIGKILL)
        while not self.entries("session.closed"):
            await deferLater(reactor, 0.02)
        [entry] = self.entries("session.closed")
        self.assertEqual((entry["session"], entry["cause"]), (lost, "WorkerLost"))
        self.assertEqual(set(await self.history(1)), {lost})
        await self.lives(viewer, server)
        await viewer.leave()
        self.assertEqual(set(await self.history(2)), {lost, kept})
        os.kill(successor, signal.SIGTERM)
        await gone.gone
        # The previous process has ended with its last session.
        self.assertEqual(await self.proxy.ended, 0, self.proxy.output)

    async def test_redis_hangs(self) -> None:
        """A session that ends meanwhile, alone or with its worker, is in the history afterwards, once."""
        await self.begin()
        left, viewer, _ = await self.opened_by(1)
        lost, _, _ = await self.opened_by(2)
        self.redis.freeze()
        await viewer.leave()
        second = self.pids[2]
        os.kill(second, signal.SIGKILL)
        while len(self.entries("session.closed")) < 2:
            await deferLater(reactor, 0.02)
        # No log line shows that a report had no answer.  Reports are sent after 1 s, and time out after 5 s.
        await deferLater(reactor, 7.0)
        self.redis.thaw()
        rows = await self.history(2)
        self.assertEqual({left, lost}, set(rows))
        self.assertEqual(rows[lost]["cause"], "WorkerLost")
        while self.pids[2] == second:
            await self.proxy.more()
        later, viewer, _ = await self.opened_by(1)
        await viewer.leave()
        self.assertEqual(set(await self.history(3)), {left, lost, later})


class XVPTest(NoVNCTest):
    """Two workers of an XVP proxy."""

    command = "xvpvncproxy"
