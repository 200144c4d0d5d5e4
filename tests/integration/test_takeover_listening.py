"""A take-over of a proxy that listens on a unix socket, behind a reverse proxy that sends PROXY headers."""

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory

from tests.integration.test_takeover import TakeOverCase
from tests.session.harness import Raw
from tests.support.twistd import Twistd
from tests.support.viewer import Viewer, Viewers

CLIENT = "203.0.113.7"


class ProxiedViewers(Viewers):
    """Viewers behind a reverse proxy on the same machine.

    :ivar path: the unix socket.
    """

    path = ""

    async def raw(self, host: str, port: int, *, tls: bool = False) -> Raw:
        """Connect, and send a PROXY header."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        raw: Any = await UNIXClientEndpoint(reactor, self.path).connect(factory)
        self._case.addCleanup(Viewer(raw, raw).leave)
        raw.write(f"PROXY TCP4 {CLIENT} 203.0.113.1 4711 443\r\n".encode())
        return raw  # type: ignore[no-any-return]


class UnixSocketTests(TakeOverCase):
    async def test_one_process(self) -> None:
        await self.check(1)

    async def test_workers(self) -> None:
        await self.check(2)

    async def check(self, workers: int) -> None:
        """A take-over refuses no session, and both processes know the client's address."""
        await self.begin()
        folder = tempfile.TemporaryDirectory()  # not trial's: the path of a unix socket must be short
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "s"
        conf = f"{self.conf(workers)}\nnovncproxy_socket = {path}\n"
        conf += "[console]\nproxy_protocol = true\ntrusted_proxies = 127.0.0.1\nmax_sessions_per_server = 0\n"
        proxy = Twistd.start(self, "novncproxy", conf, forked=False)
        self.addCleanup(self.end, proxy)
        await proxy.ready()
        self.viewers = viewers = ProxiedViewers(self)
        viewers.path = str(path)
        url = f"http://127.0.0.1:{self.port}/vnc_auto.html?token="
        live = [await self.open(url)]
        tries = Deferred.fromCoroutine(self.keep_trying(url))
        await self.take_over(proxy)
        live.append(await self.open(url))
        await gatherResults([Deferred.fromCoroutine(viewer.answers()) for viewer in live])
        self.trying = False
        self.assertEqual(await tries, [])
        self.assertGreater(self.opened, 0)
        while len(found := await self.listed()) != len(live):
            await self.pause()
        self.assertEqual({one["client_address"] for one in found}, {CLIENT})
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("Traceback", proxy.output)
        await self.end(proxy)
