"""Runs proxies with workers in front of the fake VNC server, and watches their processes."""

import os
import re
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from novnc_twisted.contract import Admission, ConnectInfo
from novnc_twisted.messaging import transport_from_url
from tests.support.redis_server import RedisServer
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers
from tests.support.vnc_server import FakeVNCServer


@implementer(IReadDescriptor)
class Watched:
    """Watches for the end of a process, which need not be a child of this one.

    :ivar gone: fires once it has ended.
    """

    def __init__(self, pid: int) -> None:
        self.gone: Deferred[None] = Deferred()
        self._handle = os.pidfd_open(pid)
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._handle

    def logPrefix(self) -> str:
        return "watched"

    def doRead(self) -> None:
        self.leave()
        self.gone.callback(None)

    def connectionLost(self, reason: Any) -> None:
        """Nothing to do."""

    def leave(self) -> None:
        """Stop watching."""
        if self._handle >= 0:
            reactor.removeReader(self)
            os.close(self._handle)
            self._handle = -1


class ProxyCase(TestCase):
    """A test with Redis, the fake VNC server, and a consoleauth that accepts every token for it."""

    timeout = 300

    async def begin(self) -> None:
        self.redis = RedisServer(self)
        self.vnc = FakeVNCServer()
        listening = reactor.listenTCP(0, self.vnc, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.vnc_port = listening.getHost().port
        self.bus = transport_from_url(reactor, self.redis.url)
        await self.bus.start()
        self.addCleanup(self.bus.stop)
        methods = {"check_token": self._check_token, "keep_token": self._keep_token, "keep_tokens": self._keep_tokens}
        self.withdraw = await self.bus.serve("consoleauth", methods, binary="nova-consoleauth", host="control")
        self.viewers = Viewers(self)

    async def _check_token(self, **_: Any) -> dict[str, Any]:
        info = ConnectInfo(host="127.0.0.1", port=self.vnc_port, name="myserver20")
        return Admission(connect_info=info, expires_in=600.0).to_wire()

    async def _keep_token(self, **_: Any) -> dict[str, Any]:
        return {}

    async def _keep_tokens(self, *, tokens: list[Any]) -> dict[str, Any]:
        return {"tokens": [{}] * len(tokens)}

    def conf(self, workers: int, port: int | None = None, **default: str) -> str:
        self.port = free_port() if port is None else port
        return "\n".join(
            [
                f"transport_url = {self.redis.url}",
                f"workers = {workers}",
                *(f"{name} = {value}" for name, value in default.items()),
                "[vnc]",
                "novncproxy_host = 127.0.0.1",
                f"novncproxy_port = {self.port}",
                f"novncproxy_base_url = http://127.0.0.1:{self.port}/vnc_auto.html",
                "xvpvncproxy_host = 127.0.0.1",
                f"xvpvncproxy_port = {self.port}",
            ]
        )

    async def asked(self, port: int, path: str) -> tuple[int, str]:
        """Send a request; return the status and the body of the response."""
        client = await self.viewers.raw("127.0.0.1", port)
        client.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await client.everything()).decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    async def metrics(self, port: int) -> dict[str, float]:
        """The samples of ``/metrics``."""
        _, text = await self.asked(port, "/metrics")
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    async def started(self, command: str = "novncproxy", workers: int = 2) -> Twistd:
        """Start a command, and return it when all its workers are ready."""
        process = Twistd.start(self, command, self.conf(workers))
        await process.ready()
        return process

    @property
    def url(self) -> str:
        """The link to a console at ``proxy``."""
        path = "vnc_auto.html" if self.proxy.command == "novncproxy" else "console"
        return f"http://127.0.0.1:{self.port}/{path}?token=any"

    @property
    def pids(self) -> dict[int, int]:
        """Number of a worker -> the id of its latest process."""
        return {int(n): int(pid) for n, pid in re.findall(r"worker (\d+) is ready \(pid (\d+)\)", self.proxy.output)}

    def watched(self, pid: int) -> Watched:
        """Watch a process until the test ends."""
        one = Watched(pid)
        self.addCleanup(one.leave)
        return one
