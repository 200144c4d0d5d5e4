"""``/healthz``, ``/readyz`` and ``/metrics`` over HTTP, without a network."""

import re

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted._version import __version__
from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events.records import SessionOpened
from novnc_twisted.monitoring.application import MonitoringApplication
from novnc_twisted.monitoring.definitions import DEFINITIONS, PARTS
from novnc_twisted.monitoring.monitor import Monitor
from novnc_twisted.monitoring.readiness import DEADLINE
from novnc_twisted.monitoring.site import MonitoringSite
from tests.http.harness import Connection


class Probed(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.monitor = Monitor(self.clock)
        self.monitor.readiness.state = "running"
        self.refusals: list[object] = []
        self.site = MonitoringSite(
            self.clock,
            MonitoringApplication(self.monitor.status),
            connection_limits=ConnectionLimits(),
            observer=self.refusals.append,
            name="monitoring",
        )
        self.logged: list[object] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def ask(self, path: str, method: str = "GET") -> bytes:
        """Send a request; return the whole response."""
        connection = Connection(self.site)
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        self.connection = connection
        return connection.transport.value()

    def ready(self) -> tuple[int, object]:
        self.ask("/readyz")
        [answer] = self.connection.answers()
        return answer.status, answer.body


class ReadinessTests(Probed):
    def test_ready(self) -> None:
        async def there() -> None:
            pass

        self.monitor.readiness.needs("bus", there)
        self.assertEqual(self.ready(), (200, {"ready": True, "state": "running", "missing": [], "reasons": {}}))

    def test_missing(self) -> None:
        async def gone() -> None:
            raise ServiceUnavailable("Redis cannot be reached")

        self.monitor.readiness.needs("store", gone)
        self.monitor.readiness.needs("bus", gone)
        self.monitor.readiness.needs("page", Deferred[None]().callback)  # type: ignore[arg-type]  # raises TypeError
        status, body = self.ready()
        self.assertEqual(status, 503)
        assert isinstance(body, dict)
        self.assertEqual((body["ready"], body["missing"]), (False, ["bus", "page", "store"]))
        self.assertEqual(body["reasons"]["bus"], "Redis cannot be reached")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_several_checks_of_a_part(self) -> None:
        """All of them must succeed; a check that was added twice runs once."""
        asked: list[str] = []

        async def there() -> None:
            asked.append("there")

        async def gone() -> None:
            raise ServiceUnavailable("Keystone does not answer")

        for check in (there, there, gone, gone):
            self.monitor.readiness.needs("authority", check)
        status, body = self.ready()
        assert isinstance(body, dict)
        self.assertEqual((status, body["reasons"], asked), (503, {"authority": "Keystone does not answer"}, ["there"]))

    def test_no_answer_in_time(self) -> None:
        self.monitor.readiness.needs("libvirt", Deferred)
        self.ask("/readyz")
        self.assertEqual(self.connection.answers(), [])
        self.clock.advance(DEADLINE)
        [answer] = self.connection.answers()
        self.assertEqual(answer.body["reasons"], {"libvirt": f"no answer within {DEADLINE:g} s"})

    def test_many_probers_ask_once(self) -> None:
        """Requests that arrive while the checks run share their result."""
        asked: list[Deferred[None]] = []

        def check() -> Deferred[None]:
            asked.append(Deferred())
            return asked[-1]

        self.monitor.readiness.needs("bus", check)
        connections = []
        for _ in range(20):
            self.ask("/readyz")
            connections.append(self.connection)
        self.assertEqual(len(asked), 1)
        asked[0].callback(None)
        self.assertEqual([connection.answers()[0].status for connection in connections], [200] * 20)
        self.ask("/readyz")
        self.assertEqual(len(asked), 2)

    def test_states(self) -> None:
        for state in ("starting", "stopping"):
            self.monitor.readiness.state = state
            status, body = self.ready()
            assert isinstance(body, dict)
            self.assertEqual((status, body["state"], body["missing"]), (503, state, []))

    def test_healthy_all_the_time(self) -> None:
        self.monitor.readiness.state = "stopping"
        self.assertTrue(self.ask("/healthz").endswith(b"\r\n\r\nok"))


class MetricsTests(Probed):
    def test_text(self) -> None:
        self.monitor.metrics(SessionOpened(phases=(("token", 0.1),)))
        head, _, body = self.ask("/metrics").partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", head)
        text = body.decode()
        self.assertTrue(text.endswith("\n"))
        for definition in DEFINITIONS.values():
            self.assertIn(f"# HELP {definition.name} ", text)
            kind = "gauge" if definition.kind == "info" else definition.kind
            self.assertIn(f"# TYPE {definition.name} {kind}\n", text)
        for line in (
            'novnc_session_setup_seconds_bucket{le="0.1",phase="token"} 1.0',
            'novnc_session_setup_seconds_sum{phase="total"} 0.1',
            'novnc_workers{state="answering"} 1.0',
            'novnc_missing{part="libvirt"} 0.0',
        ):
            self.assertIn(f"\n{line}\n", text)
        self.assertRegex(text, rf'novnc_build_info{{python="3[\d.]+",version="{re.escape(__version__)}"}} 1.0\n')
        self.assertNotIn("_created", text)

    def test_missing(self) -> None:
        async def gone() -> None:
            raise ServiceUnavailable

        self.monitor.readiness.needs("bus", gone)
        text = self.ask("/metrics").decode()
        found = {part: f'novnc_missing{{part="{part}"}} 1.0\n' in text for part in PARTS}
        self.assertEqual(found, {part: part == "bus" for part in PARTS})

    def test_others(self) -> None:
        for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 405), ("/metrics/x", "GET", 404)):
            self.assertIn(f"HTTP/1.1 {status} ".encode(), self.ask(path, method))
        self.assertTrue(self.ask("/metrics", "HEAD").endswith(b"\r\n\r\n"))

    def test_no_line_in_the_log(self) -> None:
        for path in ("/metrics", "/readyz", "/healthz", "/nothing"):
            self.ask(path)
        self.assertEqual((self.logged, self.refusals), ([], []))

    def test_a_malformed_request(self) -> None:
        """The observer is notified, as on the other HTTP ports."""
        connection = Connection(self.site)
        connection.send(b"nonsense\r\n\r\n")
        self.assertIn(b" 400 ", connection.transport.value())
        self.assertEqual([event.service for event in self.refusals], ["monitoring"])  # type: ignore[attr-defined]
