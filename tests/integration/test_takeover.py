"""Take-overs, a new certificate and a restart of consoleauth do not disturb sessions.

Real processes and Redis, at a small scale; ``make soak SOAK_OPTIONS="--take-overs 10"`` has 550 sessions.
"""

import os
import re
import signal
import ssl
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from novnc_twisted.contract.topics import PROXY
from novnc_twisted.messaging import transport_from_url
from tests.service.harness import ProxyCase
from tests.support.pki import CA
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewer, Viewers

NOVNC, XVP, TAKEOVERS = 20, 3, 2
"""Number of permanent sessions of novncproxy and of xvpvncproxy, and number of take-overs of each proxy."""

AUTHORITY = CA()


def main_pid(proxy: Twistd) -> int:
    """Return the pid of the last process that has taken over."""
    found = re.findall(r"the new process \(pid (\d+)\) has taken over", proxy.output)
    return int(found[-1]) if found else int(proxy.process.pid)


class TakeOverCase(ProxyCase):
    """Proxies that are replaced while sessions are opened.

    :ivar trying: whether :meth:`keep_trying` continues.
    :ivar opened: how many sessions it has opened.
    """

    timeout = 600
    viewers: Viewers
    trying = True
    opened = 0

    async def end(self, proxy: Twistd) -> None:
        """End all processes of a proxy; its output ends when no process is left."""
        if proxy.exit_code is None:
            os.kill(main_pid(proxy), signal.SIGTERM)
            await proxy.ended

    def open(self, url: str, token: str = "live") -> Deferred[Viewer]:
        return Deferred.fromCoroutine(self.viewers.open(url + token))

    async def pause(self) -> None:
        """Wait a moment, in which the services can run."""
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]

    async def keep_trying(self, url: str) -> list[str]:
        """Open sessions one after the other while :attr:`trying`; return the errors."""
        wrong = []
        while self.trying:
            await self.pause()
            try:
                viewer = await self.open(url, "try")
                await viewer.answers()
                await viewer.leave()
                self.opened += 1
            except Exception as error:
                wrong.append(repr(error))
        return wrong

    async def take_over(self, proxy: Twistd) -> None:
        """Start a take-over, and wait until the new process is ready."""
        count, failed = proxy.output.count("is ready (novnc_twisted"), proxy.output.count("take-over failed")
        os.kill(main_pid(proxy), signal.SIGUSR2)
        while proxy.output.count("is ready (novnc_twisted") == count:
            await proxy.more()
            # On a busy machine, the new process may not be ready in time.  No other line would follow.
            self.assertEqual(proxy.output.count("take-over failed"), failed, proxy.output)

    async def listed(self) -> list[Any]:
        """Return the sessions that all proxies list."""
        answers = await self.bus.broadcast(PROXY.prefix, "get_sessions")
        return [session for one in answers if one.result for session in one.result["sessions"]]


class TakeOverTests(TakeOverCase):
    """novncproxy with two workers and TLS, and xvpvncproxy as one process."""

    async def test_nobody_notices(self) -> None:
        await self.begin()
        await self.start_proxies()
        descriptors = [self.descriptors(proxy) for proxy in self.proxies]
        live = await gatherResults([self.open(url) for url in [self.novnc] * NOVNC + [self.xvp] * XVP])
        # If the test fails, the tries must end with it.
        self.addCleanup(setattr, self, "trying", False)
        tries = [Deferred.fromCoroutine(self.keep_trying(url)) for url in (self.novnc, self.xvp)]
        for number in range(TAKEOVERS):
            if number == 1:
                await self.fail_to_take_over()
                self.put_certificate()
            restarted = Deferred.fromCoroutine(self.restart_consoleauth())
            await gatherResults([Deferred.fromCoroutine(self.take_over(proxy)) for proxy in self.proxies])
            await restarted
            await gatherResults([Deferred.fromCoroutine(viewer.answers()) for viewer in live])
            # Sessions of keep_trying() count, too.
            while any(counted < lived for counted, lived in zip(await self.counted(), (NOVNC, XVP), strict=True)):
                await self.pause()
        self.trying = False
        refused = [line for lines in await gatherResults(tries) for line in lines]
        self.assertEqual(refused, [])
        self.assertGreater(self.opened, 2 * TAKEOVERS)
        # The old processes still list their sessions; the sessions of keep_trying() end within a moment.
        while len(await self.listed()) != NOVNC + XVP:
            await self.pause()
        # Each main process counts the sessions of its predecessors.
        while await self.counted() != [NOVNC, XVP]:
            await self.pause()
        self.assertEqual(await self.certificate(), self.credential.cert.decode())
        # The first processes have all live sessions, and end with them; the main processes continue.
        first = [self.watched(proxy.process.pid) for proxy in self.proxies]
        await gatherResults([viewer.leave() for viewer in live])
        await gatherResults([one.gone for one in first])
        while await self.counted() != [0, 0]:
            await self.pause()
        await (await self.open(self.novnc)).leave()
        while [self.descriptors(proxy) for proxy in self.proxies] != descriptors:
            await self.pause()
        for proxy in self.proxies:
            self.assertNotIn("Traceback", proxy.output)
            self.assertEqual(proxy.output.count("is ready (novnc_twisted"), 1 + TAKEOVERS)
            await self.end(proxy)

    async def start_proxies(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o755)
        self.put_certificate()
        tls = {"cert": str(self.folder / "cert.pem"), "key": str(self.folder / "key.pem")}
        self.proxies = []
        self.monitored: list[int] = []
        ports = [free_port(), free_port()]
        for command, workers, port in (("novncproxy", 2, ports[0]), ("xvpvncproxy", 1, ports[1])):
            conf = self.conf(workers, port, **tls).replace("base_url = http:", "base_url = https:")
            conf += "\n[console]\nmax_sessions_per_server = 0\n"
            self.monitored.append(free_port())
            conf += f"[monitoring]\nlisten = 127.0.0.1:{self.monitored[-1]}\n"
            self.proxies.append(Twistd.start(self, command, conf, forked=False))
            self.addCleanup(self.end, self.proxies[-1])
        await gatherResults([proxy.ready() for proxy in self.proxies])
        self.novnc = f"https://127.0.0.1:{ports[0]}/vnc_auto.html?token="
        self.xvp = f"http://127.0.0.1:{ports[1]}/console?token="
        self.viewers = Viewers(self, tls=CertificateOptions())

    async def counted(self) -> list[float]:
        """Return each proxy's number of live sessions, from its metrics."""
        found = [await self.metrics(port) for port in self.monitored]
        return [sum(value for name, value in one.items() if name.startswith("novnc_sessions{")) for one in found]

    def put_certificate(self) -> None:
        self.credential = AUTHORITY.issue("127.0.0.1")
        for name, data in (("cert.pem", self.credential.cert), ("key.pem", self.credential.key)):
            (self.folder / name).write_bytes(data)

    async def certificate(self) -> str:
        """The certificate that the noVNC proxy presents now."""
        port = int(self.novnc.split(":")[2].split("/")[0])
        return await deferToThread(ssl.get_server_certificate, ("127.0.0.1", port))

    async def fail_to_take_over(self) -> None:
        """If the new process cannot start, one line is logged, and the old process continues."""
        (self.folder / "cert.pem").write_text("no certificate")
        pids = [main_pid(proxy) for proxy in self.proxies]
        for proxy, pid in zip(self.proxies, pids, strict=True):
            os.kill(pid, signal.SIGUSR2)
            await proxy.seen("take-over failed")
            (line,) = re.findall(r"(?m)^.*no certificate.*$", proxy.output)
            self.assertIn("#error] take-over failed, this process continues to serve: ", line)
        self.assertEqual([main_pid(proxy) for proxy in self.proxies], pids)

    def descriptors(self, proxy: Twistd) -> list[str]:
        """Return what the main process has open, without the epoll descriptors that the relay opens later."""
        found = [str(one.readlink()) for one in Path(f"/proc/{main_pid(proxy)}/fd").iterdir()]
        return sorted(one.split(":[")[0] for one in found if not one.endswith("[eventpoll]"))

    async def restart_consoleauth(self) -> None:
        """Start a second consoleauth before the first one withdraws."""
        before, withdraw = self.bus, self.withdraw
        self.bus = transport_from_url(reactor, self.redis.url)
        await self.bus.start()
        self.addCleanup(self.bus.stop)
        methods = {"check_token": self._check_token, "keep_token": self._keep_token, "keep_tokens": self._keep_tokens}
        self.withdraw = await self.bus.serve("consoleauth", methods, binary="nova-consoleauth", host="control")
        await withdraw()
        await before.stop()
