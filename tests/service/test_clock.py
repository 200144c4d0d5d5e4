"""When the wall clock steps back, the timers of the commands still run."""

import os
import socket
import struct
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from tests.support.twistd import Twistd, free_port

STEP = """
import os
import time

real = time.time
time.time = lambda: real() - 3600 * os.path.exists({flag!r})
"""
"""A sitecustomize module: once the file exists, time.time() is an hour behind."""


class Callers(Factory):
    """Records the processes that connect to a unix socket."""

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self._waiting: tuple[set[int], Deferred[None]] = (set(), Deferred())

    def buildProtocol(self, addr: object) -> Protocol:
        called = self._called

        class Caller(Protocol):
            def connectionMade(self) -> None:
                peer = self.transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                called(struct.unpack("3i", peer)[0])
                self.transport.loseConnection()

        return Caller()

    def all(self, pids: set[int]) -> Deferred[None]:
        """Return a Deferred that fires when all these processes have connected."""
        self._waiting = (pids, Deferred())
        return self._waiting[1]

    def _called(self, pid: int) -> None:
        self.pids.add(pid)
        wanted, found = self._waiting
        if wanted <= self.pids and not found.called:
            found.callback(None)


class SteppedClockTests(TestCase):
    """The timer of these tests is that of the next attempt to reach Redis."""

    timeout = 300

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.flag = folder / "back"
        (folder / "sitecustomize.py").write_text(STEP.format(flag=str(self.flag)))
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        # The path of a unix socket has at most 107 characters.
        self.redis = f"/tmp/novnc-{os.getpid()}-{id(self):x}.sock"

    async def reached(self, process: Twistd, *pids: int) -> None:
        self.flag.touch()
        callers = Callers()
        all_of_them = callers.all(set(pids))
        port = reactor.listenUNIX(self.redis, callers)
        self.addCleanup(port.stopListening)
        await all_of_them
        await process.stop()

    def start(self, command: str, more: str = "") -> Twistd:
        conf = f"transport_url = redis+unix://{self.redis}\n{more}"
        return Twistd.start(self, command, conf, env=self.environment)

    async def test_a_command(self) -> None:
        process = self.start("consoleauth")
        await process.seen("cannot be reached")
        await self.reached(process, process.process.pid)

    async def test_workers(self) -> None:
        more = f"workers = 2\n[vnc]\nnovncproxy_host = 127.0.0.1\nnovncproxy_port = {free_port()}\n"
        process = self.start("novncproxy", more)
        pids = [await self.pid_of(process, number) for number in (1, 2)]
        await self.reached(process, *pids)

    async def pid_of(self, process: Twistd, number: int) -> int:
        await process.seen(f"worker {number} is ready (pid ")
        return int(process.output.partition(f"worker {number} is ready (pid ")[2].partition(")")[0])
