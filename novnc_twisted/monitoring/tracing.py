"""OpenTelemetry spans for the phases of a session's set-up, made by an observer of events.

The spans are made from events, when the work is over.  Their times are computed from the durations in the events.
All spans about one console link have the same trace id, in all processes.  The id is derived from the token
(:func:`novnc_twisted.access.tokens.link_id`), so calls between the services need not carry it.
"""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from novnc_twisted._version import __version__
from novnc_twisted.errors import TABLE
from novnc_twisted.events.records import Event, SessionClosed, SessionOpened, TokenUsed
from novnc_twisted.monitoring.definitions import PHASE_OF

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

SETUP: Final = "console.setup"
"""The name of the span for the whole set-up.

The spans within it have the names of their phases: ``token``, ``dial`` and ``negotiate``.
"""

PLACE: Final = "console.place"
"""The name of the span for consoleauth's search for the console."""

_LIVE: Final = "live"
_NANOSECONDS: Final = 1_000_000_000

# These causes are not errors: the viewer left, the token was revoked, or the proxy is being stopped.
_NO_ERROR: Final = frozenset(("ClientLeft", "Revoked", "Stopping"))


class SetupSpans:
    """Makes the spans.  An instance is an ``Observer``.

    :param tracer: default: a tracer of the global tracer provider, which ``opentelemetry-instrument`` sets.
    :param now: returns the Unix time in nanoseconds.
    """

    def __init__(self, tracer: "Tracer | None" = None, now: Callable[[], int] = time.time_ns) -> None:
        # Imported here, so that only a process with tracing loads the library.
        from opentelemetry import trace

        self._trace = trace
        self._tracer = tracer or trace.get_tracer("novnc_twisted", __version__)
        self._now = now

    def __call__(self, event: Event) -> None:
        """Make the spans for an event, if it is the end of a set-up or the use of a token."""
        if isinstance(event, SessionOpened):
            self._setup(event, "")
        elif isinstance(event, SessionClosed) and event.phase != _LIVE:
            self._setup(event, event.cause)
        elif isinstance(event, TokenUsed):
            self._place(event)

    def _setup(self, event: SessionOpened | SessionClosed, cause: str) -> None:
        phases = _merged(event.phases)
        began = self._now() - _nanoseconds(sum(seconds for _, seconds in phases))
        attributes = _attributes(event) | {"novnc.session.id": event.session_id}
        if cause:
            attributes["novnc.cause"] = cause
        context = self._context_of(event.link_id)
        setup = self._tracer.start_span(SETUP, context=context, start_time=began, attributes=attributes)
        inside = self._trace.set_span_in_context(setup)
        end = began
        for number, (phase, seconds) in enumerate(phases, 1):
            span = self._tracer.start_span(phase, context=inside, start_time=end)
            end += _nanoseconds(seconds)
            if cause and number == len(phases):
                self._fail(span, cause)
            span.end(end)
        if cause:
            self._fail(setup, cause)
        setup.end(end)

    def _place(self, event: TokenUsed) -> None:
        if event.place_seconds is None:
            return
        end = self._now()
        began = end - _nanoseconds(event.place_seconds)
        context = self._context_of(event.link_id)
        span = self._tracer.start_span(PLACE, context=context, start_time=began, attributes=_attributes(event))
        span.end(end)

    def _fail(self, span: Any, cause: str) -> None:
        if cause not in _NO_ERROR:
            sentence = TABLE[cause].sentence if cause in TABLE else cause
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, sentence))

    def _context_of(self, link: str) -> "Context | None":
        """Return the context that gives a span the trace id of a link.

        Without a link, return None: the span begins a new trace.
        """
        if not link:
            return None
        # A tracer takes a trace id only from a parent span, so name a parent that does not exist.  Its span id has
        # 64 bits, and must not be 0.  The parent has the flag SAMPLED, because the default sampler drops the children
        # of a parent without this flag.
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        parent = self._trace.SpanContext(int(link, 16), int(link[:16], 16) or 1, is_remote=True, trace_flags=flags)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(parent))


def _attributes(event: SessionOpened | SessionClosed | TokenUsed) -> dict[str, str]:
    named = {"novnc.console_type": event.console_type, "novnc.server.id": event.instance_uuid}
    return {name: value for name, value in named.items() if value}


def _merged(phases: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Convert the phases of a session to those of the metrics; adjacent phases of the same name become one."""
    merged: list[tuple[str, float]] = []
    for name, seconds in phases:
        phase = PHASE_OF.get(name, name)
        if merged and merged[-1][0] == phase:
            merged[-1] = phase, merged[-1][1] + seconds
        else:
            merged.append((phase, seconds))
    return merged


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)
