"""The correctness check of the benchmarks: our proxies pass it at both ports, and a faulty proxy does not."""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer
from twisted.trial.unittest import TestCase

from benchmarks.load import Backend, Load, LoadFailed, Unavailable, check
from benchmarks.measure import QUICK, Site, Subject, round_trip, slow
from benchmarks.ours import Console
from benchmarks.proxies import Proxy


class BackendCase(TestCase):
    timeout = 300

    async def setUp(self) -> None:
        self.backend = await deferToThread(Backend)
        self.addCleanup(deferToThread, self.backend.stop)


class OursTests(BackendCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.console = Console(self.backend.port, Path(self.mktemp()).absolute())
        self.addCleanup(deferToThread, self.console.stop)
        await deferToThread(self.console.start)

    async def test_every_byte_on_both_fronts(self) -> None:
        self.assertEqual(set(self.console.urls), {"novnc", "xvp"})
        for url in self.console.urls.values():
            await deferToThread(check, url)

    async def test_one_link_serves_many_sessions(self) -> None:
        with await deferToThread(Load, "hold", self.console.urls["novnc"], n=70):
            self.assertGreater(self.console.memory(), 1000)

    async def test_rows(self) -> None:
        site = Site(self.backend, QUICK)
        subject = Subject("ours", self.console, "xvp")
        measured = await deferToThread(round_trip, site, subject)
        self.assertGreater(measured["cpu_us"], 0)
        self.assertGreaterEqual(measured["p99_us"], measured["p50_us"])
        self.assertLess((await deferToThread(slow, site, subject))["growth_mib"], 20)

    async def test_a_wrong_link_is_a_failure(self) -> None:
        url = self.console.urls["xvp"].split("?")[0] + "?token=wrong"
        failure = await self.assertFailure(deferToThread(check, url), LoadFailed)
        self.assertIn("refused: HTTP/1.1 401", str(failure))


class WrongProxyTests(BackendCase):
    """The proxy is Twisted's port forwarder, and changes one byte."""

    async def failure(self, server: type[ProxyServer], client: type[ProxyClient]) -> str:
        factory = ProxyFactory("127.0.0.1", self.backend.port)
        factory.protocol = server
        server.clientProtocolFactory = type("ClientFactory", (ProxyClientFactory,), {"protocol": client})
        listening: IListeningPort = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(maybeDeferred, listening.stopListening)
        port = listening.getHost().port  # type: ignore[attr-defined]
        return str(await self.assertFailure(deferToThread(check, f"tcp://127.0.0.1:{port}"), LoadFailed))

    async def test_a_picture_changed(self) -> None:
        class Client(ProxyClient):
            seen = 0

            def dataReceived(self, data: bytes) -> None:
                before, self.seen = self.seen, self.seen + len(data)
                super().dataReceived(changed(data, 20_000 - before))

        self.assertIn("not what is due at byte", await self.failure(ProxyServer, Client))

    async def test_a_message_changed(self) -> None:
        class Server(ProxyServer):
            seen = 0

            def dataReceived(self, data: bytes) -> None:
                before, self.seen = self.seen, self.seen + len(data)
                super().dataReceived(changed(data, 20_000 - before))

        self.assertIn("check echo", await self.failure(Server, ProxyClient))
        self.assertIn("bad message", self.backend.complaints())
        self.assertEqual(self.backend.complaints(), "")


def changed(data: bytes, at: int) -> bytes:
    if not 0 <= at < len(data):
        return data
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class UnavailableTests(TestCase):
    async def test_says_why(self) -> None:
        class Broken(Proxy):
            name = "broken"

            def command(self) -> list[str]:
                return ["/bin/sh", "-c", "echo cert: no such file; exit 3"]

        proxy = Broken(1, Path(self.mktemp()).absolute())
        failure = await self.assertFailure(deferToThread(proxy.start), Unavailable)
        self.assertEqual(str(failure), "it ended with 3; cert: no such file")
