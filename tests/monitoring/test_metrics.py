"""The metrics of one process."""

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InvalidToken, Revoked, ServiceUnavailable
from novnc_twisted.events.records import SessionClosed, SessionOpened, TokenMade, TokenRefused, TokenRevoked, TokenUsed
from novnc_twisted.events.refused import RequestRefused
from novnc_twisted.monitoring.definitions import DEFINITIONS, OTHER
from novnc_twisted.monitoring.metrics import Metrics

PHASES = (("token", 0.25), ("dial", 0.5), ("access path", 1.0), ("login", 2.0), ("offer", 4.0))


def session(phase: str = "live", cause: Any = None, console_type: str = "novnc", **end: int) -> Any:
    """Replaces a session of the registry."""
    counts = {"bytes_in": 0, "bytes_out": 0, **end}
    return SimpleNamespace(
        phase=phase, cause=cause, viewer=SimpleNamespace(console_type=console_type, end=SimpleNamespace(**counts))
    )


def closed(phase: str, cause: str = "ClientLeft", bytes_in: int = 0, bytes_out: int = 0) -> SessionClosed:
    return SessionClosed(cause=cause, close_code=1000, phase=phase, seconds=1.0, bytes_in=bytes_in, bytes_out=bytes_out)


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.samples()[name, tuple(sorted(labels.items()))]

    def test_series_begin_with_zero(self) -> None:
        """So the first event is an increase.  Only the durations of bus calls begin with the first call."""
        samples = self.metrics.samples()
        self.assertEqual(set(samples.values()), {0.0})
        for definition in DEFINITIONS.values():
            if definition.kind == "counter":
                [(label, values)] = definition.labels.items()
                for value in values:
                    self.assertIn((definition.name, ((label, value),)), samples)

    def test_phases(self) -> None:
        self.metrics(SessionOpened(phases=PHASES))
        self.metrics(TokenUsed(place_seconds=0.125))
        expected = {"token": 0.25, "dial": 0.5, "negotiate": 7.0, "total": 7.75, "place": 0.125}
        self.metrics(TokenUsed())  # checked by nova's API: the duration is not known
        for phase, seconds in expected.items():
            self.assertEqual(self.value("novnc_session_setup_seconds_sum", phase=phase), seconds, phase)
            self.assertEqual(self.value("novnc_session_setup_seconds_count", phase=phase), 1.0)
            self.assertEqual(self.value("novnc_session_setup_seconds_bucket", phase=phase, le="+Inf"), 1.0)

    def test_refused_and_ended(self) -> None:
        """A session that ends before it was live counts as a refusal with this cause."""
        self.metrics(closed("login", "ConsoleUnreachable"))
        self.metrics(closed("live", "ConsoleClosed"))
        self.metrics(RequestRefused(service="novncproxy", cause="ForeignOrigin", address="192.0.2.1"))
        self.assertEqual(self.value("novnc_refusals_total", cause="ConsoleUnreachable"), 1)
        self.assertEqual(self.value("novnc_refusals_total", cause="ForeignOrigin"), 1)
        self.assertEqual(self.value("novnc_sessions_ended_total", cause="ConsoleClosed"), 1)
        self.assertEqual(self.value("novnc_sessions_ended_total", cause="ConsoleUnreachable"), 0)

    def test_tokens(self) -> None:
        for event in (
            TokenMade(expires_at=1.0),
            TokenUsed(),
            TokenRefused(cause="InvalidToken"),
            TokenRevoked(tokens=3),
        ):
            self.metrics(event)
        found = {
            event: self.value("novnc_tokens_total", event=event) for event in ("made", "used", "refused", "revoked")
        }
        self.assertEqual(found, {"made": 1, "used": 1, "refused": 1, "revoked": 3})

    def test_live_sessions(self) -> None:
        """Those of both fronts.  Sessions that are being set up or are ending do not count, but their bytes do."""
        self.metrics.watch([session(bytes_in=5, bytes_out=100), session(phase="login", bytes_in=7)])
        self.metrics.watch([session(console_type="xvpvnc"), session(cause=Revoked(), bytes_out=1)])
        self.assertEqual(self.value("novnc_sessions", type="novnc"), 1)
        self.assertEqual(self.value("novnc_sessions", type="xvpvnc"), 1)
        self.assertEqual(self.value("novnc_session_bytes_total", direction="in"), 12)
        self.assertEqual(self.value("novnc_session_bytes_total", direction="out"), 101)

    def test_bytes_do_not_fall_when_a_session_ends(self) -> None:
        live = [session(bytes_in=5, bytes_out=100)]
        self.metrics.watch(live)
        before = self.value("novnc_session_bytes_total", direction="out")
        live.clear()
        self.metrics(closed("live", bytes_in=5, bytes_out=100))
        self.assertEqual(self.value("novnc_session_bytes_total", direction="out"), before)
        self.assertEqual(self.value("novnc_session_bytes_total", direction="in"), 5)

    def test_calls(self) -> None:
        """Only ServiceUnavailable is a failure; other refusals are answers.  Served calls are not counted."""
        self.metrics.called("called", "consoleauth", "check_token", 0.5, None)
        self.metrics.called("called", "consoleauth", "check_token", 0.25, InvalidToken())
        self.metrics.called("called", "consoleauth", "check_token", 5.0, ServiceUnavailable())
        self.metrics.called("served", "consoleauth", "check_token", 9.0, None)
        self.assertEqual(self.value("novnc_bus_call_seconds_count", method="check_token"), 3)
        self.assertEqual(self.value("novnc_bus_call_seconds_sum", method="check_token"), 5.75)
        self.assertEqual(self.value("novnc_bus_failures_total", method="check_token"), 1)

    def test_bounded(self) -> None:
        """All unknown causes and methods share the time series with the label value ``other``."""
        before = len(self.metrics.samples())
        for number in range(100):
            self.metrics(closed("live", f"Cause{number}"))
            self.metrics(closed("dial", f"Cause{number}"))
            self.metrics.called("called", "compute.host", f"method{number}", 0.1, ServiceUnavailable())
        self.assertEqual(self.value("novnc_sessions_ended_total", cause=OTHER), 100)
        series = len(DEFINITIONS["novnc_bus_call_seconds"].buckets) + 3  # "+Inf", sum, count
        self.assertEqual(len(self.metrics.samples()), before + 3 + series)

    def test_no_label_names_a_client(self) -> None:
        labels = {label for definition in DEFINITIONS.values() for label in definition.labels}
        self.assertEqual(
            labels, {"type", "phase", "cause", "direction", "method", "event", "part", "state", "version", "python"}
        )
        for definition in DEFINITIONS.values():
            self.assertTrue(definition.kind == "info" or all(definition.labels.values()), definition.name)
