"""Several workers of a proxy: real processes on one port."""

import json
import os
import re
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import Revoked, Stopping
from tests.service.harness import ProxyCase
from tests.service.test_commands import alone
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewer

STOPPING = Stopping.close_code


class WorkersTests(ProxyCase):
    async def two(self, command: str) -> None:
        await self.begin()
        self.proxy = await self.started(command)

    async def lives(self, viewer: Viewer) -> None:
        """Check that a key press arrives at the VNC server."""
        viewer.press("x")
        while True:
            kind, message = await self.connection.inbox.get()
            if kind == 4 and message[-1] == ord("x"):
                return

    async def session(self) -> Viewer:
        viewer = await self.viewers.open(self.url)
        self.connection = await self.vnc.live.get()
        return viewer

    async def test_a_flood_is_spread(self) -> None:
        """Each worker gets some connections; its log lines have its number."""
        await self.two("xvpvncproxy")
        served: Counter[str] = Counter()
        while len(served) < 2:
            open_ = [Deferred.fromCoroutine(self.viewers.raw("127.0.0.1", self.port)) for _ in range(40)]
            clients = await gatherResults(open_)
            for client in clients:
                client.write(b"nonsense\r\n\r\n")
            answers = await gatherResults([Deferred.fromCoroutine(client.everything()) for client in clients])
            self.assertEqual({answer.split(b" ")[1] for answer in answers}, {b"400"})
            served = Counter(re.findall(r"\[worker (\d) novnc_twisted\.frontend[^\]]*\] xvpvnc", self.proxy.output))

    async def test_each_is_seen_and_os_services_has_one_row(self) -> None:
        """Each worker has a presence entry, but they are one service."""
        await self.two("xvpvncproxy")
        seen = await self.bus.services("xvpvncproxy.")
        self.assertEqual(len({one.worker for one in seen}), 2)
        api = free_port()
        conf = self.conf(2, osapi_compute_listen_port=str(api))
        await Twistd.start(self, "consoleapi", conf).ready()
        client = await self.viewers.raw("127.0.0.1", api)
        client.write(b"GET /v2.1/os-services HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        rows = json.loads((await client.everything()).partition(b"\r\n\r\n")[2])["services"]
        self.assertEqual([row["binary"] for row in rows], ["nova-consoleauth", "nova-xvpvncproxy"])

    async def test_sessions_are_listed_and_ended_over_the_bus(self) -> None:
        """Each worker has an address of its own, and one of them has the session."""
        for command, url in (("novncproxy", "vnc_auto.html"), ("xvpvncproxy", "console")):
            await self.two(command)
            self.assertIn(url, self.url)
            viewer = await self.session()
            found: list[dict[str, Any]] = []
            while not found or found[0]["phase"] != "live":
                answers = await self.bus.broadcast(PROXY.prefix, "get_sessions")
                self.assertEqual(len({one.service.topic for one in answers}), 2)
                found = [row for one in answers for row in one.result["sessions"]]
            [row] = found
            session = read(SessionInfo, row, "the proxy")
            self.assertEqual((session.server_name, session.client_address), ("myserver20", "127.0.0.1"))
            self.assertTrue(all(f".{session.proxy}." in one.service.topic for one in answers))
            token_hash = hash_token("any")
            answers = await self.bus.broadcast(PROXY.prefix, "end_sessions", token_hash=token_hash, reason="test")
            self.assertEqual(sorted(one.result["ended"] for one in answers), [0, 1])
            self.assertIn(await viewer.closed(), ((Revoked.close_code, Revoked.sentence), None))
            answers = await self.bus.broadcast(PROXY.prefix, "get_sessions", session_id=session.id)
            self.assertEqual([one.result["sessions"] for one in answers], [[], []])
            self.assertEqual(await self.proxy.stop(), 0, self.proxy.output)
            self.assertEqual(await self.bus.services(PROXY.prefix), [])

    async def test_a_killed_worker_is_back_and_the_others_sessions_live(self) -> None:
        """Meanwhile, the other worker serves new connections."""
        await self.two("novncproxy")
        first, second = self.pids[1], self.pids[2]
        os.kill(first, signal.SIGSTOP)  # so that the second worker gets the session
        viewer = await self.session()
        gone = self.watched(first).gone
        os.kill(first, signal.SIGKILL)
        await gone
        await (await self.viewers.open(self.url)).leave()
        await self.proxy.seen(f"worker 1 (pid {first}) ended by signal 9")
        while self.pids[1] == first:
            await self.proxy.more()
        await self.lives(viewer)
        self.assertEqual(self.pids[2], second)
        os.kill(second, signal.SIGSTOP)
        self.addCleanup(os.kill, second, signal.SIGCONT)
        await (await self.viewers.open(self.url)).leave()

    async def test_metrics_and_readiness_of_all_workers(self) -> None:
        """The metrics are sums; no counter falls when a worker hangs or dies.  All workers write one audit trail."""
        await self.begin()
        port, trail = free_port(), Path(self.mktemp()).absolute()
        conf = f"{self.conf(2)}\n[monitoring]\nlisten = 127.0.0.1:{port}\n[audit]\nfile = {trail}\n"
        self.proxy = Twistd.start(self, "novncproxy", conf)
        await self.proxy.ready()
        self.assertEqual((await self.asked(port, "/readyz"))[0], 200)
        for stopped in self.pids.values():
            os.kill(stopped, signal.SIGSTOP)
            await self.lives(await self.session())
            os.kill(stopped, signal.SIGCONT)
        found = await self.metrics(port)
        self.assertEqual((found['novnc_sessions{type="novnc"}'], found['novnc_workers{state="answering"}']), (2, 2))
        self.assertEqual(found['novnc_session_setup_seconds_count{phase="total"}'], 2)
        self.assertEqual(found['novnc_bus_call_seconds_count{method="check_token"}'], 2)
        received = found['novnc_session_bytes_total{direction="in"}']
        self.assertGreater(received, 0)
        first = self.pids[1]
        os.kill(first, signal.SIGSTOP)
        found = await self.metrics(port)
        self.assertEqual((found['novnc_sessions{type="novnc"}'], found['novnc_workers{state="silent"}']), (1, 1))
        self.assertEqual(found['novnc_session_bytes_total{direction="in"}'], received)
        os.kill(first, signal.SIGKILL)
        while self.pids[1] == first:
            await self.proxy.more()
        found = await self.metrics(port)
        self.assertEqual((found['novnc_sessions{type="novnc"}'], found['novnc_workers{state="silent"}']), (1, 0))
        self.assertEqual(found['novnc_session_bytes_total{direction="in"}'], received)
        entries = [json.loads(line) for line in trail.read_text().splitlines()]
        self.assertEqual([entry["event"] for entry in entries], ["session.opened"] * 2 + ["session.closed"])
        self.assertEqual((entries[2]["cause"], entries[2]["server_name"]), ("WorkerLost", "myserver20"))
        self.assertEqual(found['novnc_sessions_ended_total{cause="WorkerLost"}'], 1)
        trail.rename(f"{trail}.1")
        self.proxy.process.signalProcess("HUP")
        for number in self.pids:
            await self.proxy.seen(f"worker {number} novnc_twisted.service.console_service.ConsoleService#info] reload")
        self.assertEqual((trail.read_text(), trail.stat().st_mode & 0o777), ("", 0o600))
        await self.bus.stop()
        status, body = await self.asked(port, "/readyz")
        self.assertEqual((status, json.loads(body)["missing"]), (503, ["authority"]))
        self.assertNotIn("readyz", self.proxy.output)
        self.assertEqual(await self.proxy.stop(), 0, self.proxy.output)
        [entry] = map(json.loads, trail.read_text().splitlines())
        self.assertEqual(
            (entry["event"], entry["cause"], entry["server_name"]), ("session.closed", "Stopping", "myserver20")
        )

    async def test_sigterm(self) -> None:
        """The sessions of both workers end with 1001, and no process is left."""
        await self.two("novncproxy")
        viewers = []
        for stopped in self.pids.values():
            os.kill(stopped, signal.SIGSTOP)
            viewers.append(await self.session())
            os.kill(stopped, signal.SIGCONT)
        gone = [self.watched(pid).gone for pid in self.pids.values()]
        ended = Deferred.fromCoroutine(self.proxy.stop())
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)  # as systemd may, or a terminal; the workers then receive the signal twice
        for viewer in viewers:
            self.assertEqual((await viewer.closed())[0], STOPPING)
        await gatherResults(gone)
        self.assertEqual(await ended, 0, self.proxy.output)
        self.assertNotIn("Traceback", self.proxy.output)
        self.assertNotIn("started again", self.proxy.output)

    async def test_sigkill_of_the_supervisor(self) -> None:
        """Its workers shut down in an orderly way, and the port is free."""
        await self.two("novncproxy")
        viewer = await self.session()
        gone = [self.watched(pid).gone for pid in self.pids.values()]
        self.proxy.process.signalProcess("KILL")
        self.assertEqual((await viewer.closed())[0], STOPPING)
        await gatherResults(gone)
        again = Twistd.start(self, "novncproxy", self.conf(1, port=self.port))
        await again.ready()

    async def test_no_worker_can_start(self) -> None:
        """If the port is in use, one line says so, and no worker is started."""
        await self.two("xvpvncproxy")
        other = Twistd.start(self, "xvpvncproxy", self.conf(2, port=self.port))
        self.assertNotEqual(await other.ended, 0)
        self.assertEqual(other.output.count("\n"), 1, other.output)
        self.assertIn("xvpvncproxy_port", other.output)

    async def test_a_log_file_and_systemd(self) -> None:
        """The file of ``--logfile`` has all output; NOTIFY_SOCKET receives READY and STOPPING, each once."""
        await self.begin()
        notified = Notified()
        address = str(self.redis.folder / "notify")
        listening = reactor.listenUNIXDatagram(address, notified)
        self.addCleanup(listening.stopListening)
        log = Path(self.mktemp()).absolute()
        self.proxy = Twistd.start(
            self,
            "xvpvncproxy",
            self.conf(2),
            options=["--logfile", str(log)],
            env=os.environ | {"NOTIFY_SOCKET": address},
        )
        await notified.ready
        self.assertEqual(await self.proxy.stop(), 0)
        text = log.read_text()
        self.assertRegex(text, r"(?m)^20\S+ \[worker 1 ")
        self.assertRegex(text, r"(?m)^20\S+ \[worker 2 ")
        self.assertEqual(self.proxy.output, "")
        self.assertEqual(notified.states, ["READY=1", "STOPPING=1"])


class Notified(DatagramProtocol):
    """Receives the states that a service sends with sd_notify."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.ready: Deferred[None] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        self.states.append(datagram.decode())
        if len(self.states) == 1:
            self.ready.callback(None)


class ConsoleTests(TestCase):
    """``twistd console`` is one process, and refuses ``workers``."""

    timeout = 300

    async def test_systemd_is_notified_by_one_process(self) -> None:
        """READY and STOPPING, as from a supervisor."""
        notified = Notified()
        folder = Path(tempfile.mkdtemp())  # a unix socket's path must be short
        self.addCleanup(shutil.rmtree, folder)
        listening = reactor.listenUNIXDatagram(str(folder / "notify"), notified)
        self.addCleanup(listening.stopListening)
        environment = os.environ | {"NOTIFY_SOCKET": str(folder / "notify")}
        process = Twistd.start(self, "console", alone(), env=environment)
        await notified.ready
        self.assertEqual(await process.stop(), 0)
        self.assertEqual(notified.states, ["READY=1", "STOPPING=1"])

    async def test_memory(self) -> None:
        for workers in ("0", "2"):
            process = Twistd.start(self, "console", alone(workers=workers))
            self.assertNotEqual(await process.ended, 0)
            self.assertEqual(process.output.count("\n"), 1, process.output)
            self.assertIn("transport_url", process.output)
            self.assertIn("workers", process.output)

    async def test_redis(self) -> None:
        process = Twistd.start(self, "console", alone(workers="2", transport_url="redis://127.0.0.1"))
        self.assertNotEqual(await process.ended, 0)
        self.assertEqual(process.output.count("\n"), 1, process.output)
        self.assertIn("workers", process.output)
