"""The base class of tests with the cloud: its servers, their consoles, and a proxy."""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.nova.cloud import Cloud
from tests.support.handed_out import secret
from tests.support.twistd import Twistd, free_port
from tests.support.vm import SmallVM
from tests.support.vnc_server import FakeVNCServer

TIMEOUT = 120.0
"""Seconds to wait for a condition."""


class NovaCase(TestCase):
    """A test with the cloud.  Each test uses ports of its own, and sets the addresses of the consoles."""

    timeout = 300

    async def setUp(self) -> None:
        self.cloud = Cloud.running()
        self.admin = await self.blocking(self.cloud.log_in)
        self.alice = await self.blocking(lambda: self.cloud.log_in("alice", "red"))
        self.port = free_port()
        self.consoles: dict[str, dict[str, tuple[str, int]]] = {}

    def blocking(self, call: Callable[[], Any]) -> Any:
        """Make a blocking call in a thread."""
        return deferToThread(call)

    def conf(self, more: str = "") -> str:
        """Nova's own nova.conf, with another port, and without ``log_dir``: tests read the log from the output."""
        ours = f"novncproxy_port = {self.port}\n"
        text = self.cloud.conf.read_text().replace(f"log_dir = {self.cloud.folder}\n", "")
        return text.replace(f"novncproxy_port = {self.cloud.ports['proxy']}\n", ours) + more

    async def proxy(self, more: str = "") -> Twistd:
        proxy = Twistd.start(self, "novncproxy", self.conf(more))
        await proxy.ready()
        return proxy

    async def server(self, name: str) -> dict[str, Any]:
        """A server, as an administrator sees it."""
        found = await self.blocking(lambda: self.admin.do("GET", f"/servers/detail?all_tenants=1&name={name}"))
        (server,) = found["servers"]
        return server

    def place(self, server: dict[str, Any], port: int, host: str = "*") -> None:
        """Let nova's compute host (``*``: each) report this port for a server's console."""
        self.consoles.setdefault(server["id"], {})[host] = ("127.0.0.1", port)
        self.cloud.write("consoles", self.consoles)

    async def token(self, server: dict[str, Any]) -> str:
        """Request a link as the server's owner; return its token."""
        asked = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/servers/{server['id']}/remote-consoles"
        answer = await self.blocking(lambda: self.alice.do("POST", path, asked))
        return token_of(answer["remote_console"]["url"])

    def url(self, token: str) -> str:
        return f"http://127.0.0.1:{self.port}/vnc_lite.html?token={token}"

    def vnc(self, name: str) -> int:
        """Start a VNC server with QEMU's name for this VM; return its port."""
        port = reactor.listenTCP(0, FakeVNCServer(name=f"QEMU ({name})".encode()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def vm(self, name: str, folder: str) -> SmallVM:
        """Start a real QEMU with this name."""
        # Not in trial's folder: the path of a unix socket has 107 bytes at most.
        above = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, above)
        vm = SmallVM(Path(above) / folder, more=("-name", name))
        self.addCleanup(vm.stop)
        vm.start()
        return vm


def instance_name(server: dict[str, Any]) -> str:
    return str(server["OS-EXT-SRV-ATTR:instance_name"])


def token_of(url: str) -> str:
    """The token in a URL of nova, in its query argument ``path``."""
    path = parse_qs(urlsplit(url).query)["path"][0]
    return secret(parse_qs(urlsplit(path).query)["token"][0])


def until(condition: Callable[[], bool], what: str) -> None:
    """Block until a condition holds."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {TIMEOUT:g} s for {what}")
        time.sleep(0.1)
