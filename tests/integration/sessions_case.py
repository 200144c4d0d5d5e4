"""A proxy with real worker processes, and Redis; the other services run in the test's process."""

import json
from io import BytesIO
from typing import Any

from twisted.internet import reactor
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from novnc_twisted.api import make_site
from novnc_twisted.compute import ComputeManager
from novnc_twisted.compute.rpcapi import ComputeAPI
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI
from novnc_twisted.identity import NoAuth
from novnc_twisted.messaging import transport_from_url
from tests.compute.harness import A, FakeDriver, domain
from tests.service.harness import ProxyCase
from tests.support.redis_server import RedisServer
from tests.support.viewer import Viewer, Viewers
from tests.support.vnc_server import FakeVNCServer


class SessionsCase(ProxyCase):
    """A proxy with two workers, started by ``twistd`` with the class's command."""

    timeout = 300
    command = "novncproxy"

    async def begin(self) -> None:
        self.redis = RedisServer(self)
        self.vnc = FakeVNCServer()
        listening = reactor.listenTCP(0, self.vnc, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.bus = transport_from_url(reactor, self.redis.url)
        await self.bus.start()
        self.addCleanup(self.bus.stop)
        self.viewers = Viewers(self)
        driver = FakeDriver(reactor)
        driver.add(domain(A, port=listening.getHost().port))
        self.proxy = await self.started(self.command)
        base_url = f"http://127.0.0.1:{self.port}"
        compute = ComputeManager(
            self.bus,
            driver,
            host="one",
            novncproxy_base_url=f"{base_url}/vnc_auto.html",
            xvpvncproxy_base_url=f"{base_url}/console",
        )
        authority = ConsoleAuthManager(self.bus, reactor)
        for manager in (compute, authority):
            await manager.start()
            self.addCleanup(manager.stop)
        self.listen()

    def listen(self) -> None:
        servers = ComputeAPI(self.bus)
        site = make_site(
            reactor, consoleauth=ConsoleAuthAPI(self.bus), compute=servers, transport=self.bus, auth=NoAuth()
        )
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(servers.stop)
        self.agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        self.api = f"http://127.0.0.1:{port.getHost().port}/console/v1"

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = Headers({"Content-Type": ["application/json"]})
        sent = None if body is None else FileBodyProducer(BytesIO(json.dumps(body).encode()))
        response: Any = await self.agent.request(method.encode(), (self.api + path).encode(), headers, sent)
        received = await readBody(response)
        return response.code, json.loads(received) if received else None

    async def link(self, **body: Any) -> str:
        status, answer = await self.ask(
            "POST", f"/servers/{A}/consoles", {"type": self.command.removesuffix("proxy"), **body}
        )
        self.assertEqual(status, 200, answer)
        return str(answer["console"]["url"])

    async def opened(self, **body: Any) -> tuple[str, Viewer, Any]:
        """Open a session; return its link, its viewer, and the VNC server's side."""
        url = await self.link(**body)
        viewer = await self.viewers.open(url)
        return url, viewer, await self.vnc.live.get()

    async def sessions(self) -> list[dict[str, Any]]:
        status, answer = await self.ask("GET", "/sessions")
        self.assertEqual(status, 200, answer)
        return list(answer["sessions"])
