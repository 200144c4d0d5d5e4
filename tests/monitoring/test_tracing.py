"""OpenTelemetry spans of a session's set-up."""

import subprocess
import sys

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.events.records import SessionClosed, SessionOpened, TokenUsed
from novnc_twisted.events.refused import RequestRefused
from novnc_twisted.monitoring.tracing import SetupSpans

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
LINK = "0123456789abcdef0123456789abcdef"
PHASES = (("token", 0.5), ("dial", 0.25), ("access path", 1.0), ("login", 2.0), ("offer", 4.0))


class SpanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = SetupSpans(provider.get_tracer("test"), now=lambda: NOW)

    def finished(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def times(self) -> dict[str, tuple[float, float]]:
        """Begin and end of each span, in seconds from now."""
        return {
            name: ((span.start_time - NOW) / SECOND, (span.end_time - NOW) / SECOND)  # type: ignore[operator]
            for name, span in self.finished().items()
        }

    def test_a_session(self) -> None:
        self.spans(SessionOpened(console_type="novnc", session_id="s", instance_uuid="u", link_id=LINK, phases=PHASES))
        self.assertEqual(
            self.times(),
            {
                "console.setup": (-7.75, 0.0),
                "token": (-7.75, -7.25),
                "dial": (-7.25, -7.0),
                "negotiate": (-7.0, 0.0),
            },
        )
        found = self.finished()
        setup = found["console.setup"]
        for name in ("token", "dial", "negotiate"):
            self.assertEqual(found[name].parent, setup.context)
        self.assertEqual(
            dict(setup.attributes or {}),
            {"novnc.console_type": "novnc", "novnc.session.id": "s", "novnc.server.id": "u"},
        )
        self.assertEqual({span.status.status_code for span in found.values()}, {StatusCode.UNSET})

    def test_a_refused_session(self) -> None:
        self.spans(
            SessionClosed(cause="ConsoleUnreachable", close_code=4502, phase="dial", seconds=9.0, phases=PHASES[:2])
        )
        self.assertEqual(set(self.finished()), {"console.setup", "token", "dial"})
        status = {name: span.status.status_code for name, span in self.finished().items()}
        self.assertEqual(
            status, {"console.setup": StatusCode.ERROR, "token": StatusCode.UNSET, "dial": StatusCode.ERROR}
        )
        setup = self.finished()["console.setup"]
        self.assertEqual((setup.attributes or {})["novnc.cause"], "ConsoleUnreachable")
        self.assertEqual(setup.status.description, ConsoleUnreachable.sentence)

    def test_a_viewer_that_leaves(self) -> None:
        """Its spans are not marked as errors."""
        self.spans(SessionClosed(cause="ClientLeft", close_code=1000, phase="dial", seconds=9.0, phases=PHASES[:2]))
        self.assertEqual({span.status.status_code for span in self.finished().values()}, {StatusCode.UNSET})

    def test_one_trace_for_a_link(self) -> None:
        """The spans of consoleauth and of the proxy have the same trace id."""
        self.spans(TokenUsed(link_id=LINK, instance_uuid="u", console_type="novnc", place_seconds=0.5))
        self.spans(SessionOpened(link_id=LINK, phases=PHASES))
        self.assertEqual(self.times()["console.place"], (-0.5, 0.0))
        traces = {span.context.trace_id for span in self.finished().values() if span.context}
        self.assertEqual(traces, {int(LINK, 16)})

    def test_a_place_that_nova_found(self) -> None:
        self.spans(TokenUsed(link_id=LINK, instance_uuid="u", console_type="novnc"))
        self.assertEqual(self.finished(), {})

    def test_without_a_link(self) -> None:
        """A viewer without a token gets a trace of its own."""
        self.spans(SessionClosed(cause="TokenMissing", close_code=4401, phase="token", seconds=0.1, phases=PHASES[:1]))
        self.assertIsNone(self.finished()["console.setup"].parent)

    def test_other_events(self) -> None:
        self.spans(RequestRefused(service="novncproxy", cause="BadRequest", address=""))
        self.spans(SessionClosed(cause="ClientLeft", close_code=1000, phase="live", seconds=9.0))
        self.assertEqual(self.finished(), {})

    def test_without_a_provider(self) -> None:
        """Without a tracer provider, OpenTelemetry makes no spans and raises nothing."""
        SetupSpans()(SessionOpened(link_id=LINK, phases=PHASES))

    def test_nothing_is_imported_without_it(self) -> None:
        script = "import sys, novnc_twisted.monitoring.tracing, novnc_twisted.service.builders; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("opentelemetry", loaded)
        self.assertNotIn("prometheus_client", loaded)
