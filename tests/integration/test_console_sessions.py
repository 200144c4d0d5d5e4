"""The console API with real worker processes over Redis: sessions are listed, changed and ended wherever they are."""

import contextlib
import json
import os
import signal
from io import BytesIO
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from novnc_twisted.api import make_site
from novnc_twisted.compute import ComputeManager
from novnc_twisted.compute.rpcapi import ComputeAPI
from novnc_twisted.consoleauth import ConsoleAuthManager
from novnc_twisted.consoleauth.rpcapi import ConsoleAuthAPI
from novnc_twisted.errors import Revoked
from novnc_twisted.identity import NoAuth
from novnc_twisted.messaging import transport_from_url
from tests.compute.harness import A, FakeDriver, domain
from tests.service.harness import ProxyCase
from tests.support.redis_server import RedisServer
from tests.support.viewer import Viewer, Viewers
from tests.support.vnc_server import FakeVNCServer

UPDATE = b"\3" + bytes(9)
KEY = b"\4\1\0\0\0\0\0a"


class SessionsTest(ProxyCase):
    """Two workers of a noVNC proxy; the other services are parts of this process."""

    timeout = 120

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
        self.proxy = await self.started()
        base_url = f"http://127.0.0.1:{self.port}/vnc_auto.html"
        compute = ComputeManager(self.bus, driver, host="one", novncproxy_base_url=base_url)
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
        status, answer = await self.ask("POST", f"/servers/{A}/consoles", {"type": "novnc", **body})
        self.assertEqual(status, 200, answer)
        return str(answer["console"]["url"])

    async def opened(self, **body: Any) -> tuple[str, Viewer, Any]:
        """A link, its viewer, and the server's side of the session."""
        url = await self.link(**body)
        viewer = await self.viewers.open(url)
        return url, viewer, await self.vnc.live.get()

    async def sessions(self) -> list[dict[str, Any]]:
        status, answer = await self.ask("GET", "/sessions")
        self.assertEqual(status, 200, answer)
        return list(answer["sessions"])

    async def heard(self, viewer: Viewer, server: Any) -> list[int]:
        """The types of the messages that the server hears of a key and a request for the screen."""
        viewer.stream.write(KEY + UPDATE)
        types: list[int] = []
        while 3 not in types:
            types.append((await server.inbox.get())[0])
        return [kind for kind in types if kind != 2]

    async def test_live_sessions(self) -> None:
        await self.begin()
        opened = [await self.opened() for _ in range(3)]
        url, viewer, server = opened[0]
        view_url, watcher, watched = await self.opened(mode="view", expires_in=60)
        listed = await self.sessions()
        self.assertEqual([row["id"] for row in listed], sorted(row["id"] for row in listed))
        self.assertEqual(sorted(row["mode"] for row in listed), ["control"] * 3 + ["view"])
        self.assertEqual({(row["server_id"], row["phase"]) for row in listed}, {(A, "live")})
        # A view-only link, and a session whose rights are changed.
        self.assertEqual(await self.heard(watcher, watched), [3])
        self.assertEqual(await self.heard(viewer, server), [4, 3])
        by_bytes = sorted((row for row in await self.sessions() if row["mode"] == "control"), key=_bytes_in)
        mine, others = by_bytes[-1]["id"], {row["id"] for row in by_bytes[:-1]}
        status, answer = await self.ask("PATCH", f"/sessions/{mine}", {"mode": "view"})
        self.assertEqual((status, answer["session"]["mode"]), (200, "view"))
        self.assertEqual(await self.heard(viewer, server), [3])
        again = await self.viewers.open(url)
        self.assertEqual(await self.heard(again, await self.vnc.live.get()), [3])
        # Ending it ends all sessions of its link, which opens nothing any more.
        status, _ = await self.ask("DELETE", f"/sessions/{mine}?reason=test")
        self.assertEqual(status, 204)
        for each in (viewer, again):
            self.assertEqual(await each.closed(), (4410, Revoked.sentence))
        self.assertEqual(await self.viewers.refusal(url), (4410, Revoked.sentence))
        self.assertEqual((await self.ask("GET", f"/sessions/{mine}"))[0], 404)
        self.assertEqual(len(await self.sessions()), 3)
        # Workers that hang are named, and end their sessions as soon as they go on.
        for pid in self.pids.values():
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(_go_on, pid)
        status, answer = await self.ask("POST", "/revocations", {"user_id": "admin", "reason": "leaver"})
        self.assertEqual(status, 503, answer)
        self.assertIn("No answer of proxy.", answer["serviceUnavailable"]["message"])
        for pid in self.pids.values():
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(await watcher.closed(), (4410, Revoked.sentence))
        self.assertEqual(await self.viewers.refusal(view_url), (4410, Revoked.sentence))
        # What has ended is in the history.
        rows: list[dict[str, Any]] = []
        while len(rows) < 5:
            await deferLater(reactor, 0.1)
            rows = (await self.ask("GET", f"/history?server_id={A}"))[1]["sessions"]
        self.assertEqual({row["cause"] for row in rows if row["id"] in others | {mine}}, {"Revoked"})
        self.assertIn("by admin: test", {row["detail"] for row in rows})
        # What had a session and was killed leaves nothing behind.
        await self.opened(mode="view")
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
        while await self.sessions():
            await deferLater(reactor, 0.1)


def _bytes_in(row: dict[str, Any]) -> int:
    return int(row["bytes_in"])


def _go_on(pid: int) -> None:
    """Let a worker go on that the test has stopped."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
