"""The metrics of one process: counted from events, from the calls on the bus, and from the live sessions.

The relay itself does no work for metrics.  The bytes of a session are added to the counter when the session ends.
Until then, each scrape reads them from the session.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events.records import (
    Event,
    SessionClosed,
    SessionOpened,
    TokenMade,
    TokenRefused,
    TokenRevoked,
    TokenUsed,
)
from novnc_twisted.events.refused import RequestRefused
from novnc_twisted.monitoring.definitions import DEFINITIONS, PHASE_OF
from novnc_twisted.monitoring.status import Samples, metric_of

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

_LIVE: Final = "live"
_CALLED: Final = "called"  # the caller's side of a call (messaging/observed.py)


class IEnd(Protocol):
    """The viewer's connection, with the number of RFB bytes in each direction."""

    bytes_in: int
    bytes_out: int


class IViewer(Protocol):
    """The viewer of a session."""

    end: Any
    console_type: str


class ISession(Protocol):
    """The part of a session that a scrape reads."""

    phase: str
    cause: Any
    viewer: Any


class Metrics:
    """Counts events, calls and sessions.  An instance is an ``Observer``."""

    def __init__(self) -> None:
        # Imported here, so that only a process that counts metrics loads the library.
        from prometheus_client import CollectorRegistry

        # Not the library's global registry: it refuses a second metric of the same name, but the tests make many
        # objects of this class.
        self._registry = CollectorRegistry(auto_describe=False)
        self._counters = {name: self._counter(name) for name in _of_kind("counter")}
        self._histograms = {name: self._histogram(name) for name in _of_kind("histogram")}
        self._fronts: list[Iterable[ISession]] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            SessionOpened: self._opened,
            SessionClosed: self._closed,
            RequestRefused: lambda event: self._count("novnc_refusals_total", "cause", event.cause),
            TokenMade: lambda event: self._count("novnc_tokens_total", "event", "made"),
            TokenUsed: self._used,
            TokenRefused: lambda event: self._count("novnc_tokens_total", "event", "refused"),
            TokenRevoked: lambda event: self._count("novnc_tokens_total", "event", "revoked", event.tokens),
        }

    def __call__(self, event: Event) -> None:
        """Count an event, if there is a metric for its type."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def called(self, side: str, topic: str, method: str, seconds: float, error: BaseException | None) -> None:
        """Count a call on the bus that this process made and that has ended.

        :class:`~novnc_twisted.messaging.observed.ObservedTransport` calls this method as its ``report``.
        """
        if side != _CALLED:
            return  # this process is the server of the call
        self._observe("novnc_bus_call_seconds", "method", method, seconds)
        # Only ServiceUnavailable counts: with any other refusal, the service has answered, and can do its work.
        if isinstance(error, ServiceUnavailable):
            self._count("novnc_bus_failures_total", "method", method)

    def watch(self, sessions: Iterable[ISession]) -> None:
        """At each scrape, count the sessions that this collection contains."""
        self._fronts.append(sessions)

    def samples(self) -> Samples:
        """Return the samples of all metrics except ``novnc_missing``, ``novnc_workers`` and ``novnc_build_info``."""
        found: Samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if metric_of(sample.name) is not None  # leave out "_created", the start times of time series
        }
        self._add_sessions(found)
        return found

    def _add_sessions(self, samples: Samples) -> None:
        """Add the number of live sessions, and the bytes of all sessions that have not ended.

        A session with a cause is ending: it is no longer live, but the counter does not contain its bytes yet.

        This method must be fast even for 10,000 sessions, because it blocks the reactor.
        """
        live = dict.fromkeys(DEFINITIONS["novnc_sessions"].labels["type"], 0)
        bytes_in = bytes_out = 0
        for front in self._fronts:
            for session in front:
                viewer = session.viewer
                end = viewer.end
                bytes_in += end.bytes_in
                bytes_out += end.bytes_out
                if session.cause is None and session.phase == _LIVE:
                    live[viewer.console_type] = live.get(viewer.console_type, 0) + 1
        samples["novnc_session_bytes_total", (("direction", "in"),)] += bytes_in
        samples["novnc_session_bytes_total", (("direction", "out"),)] += bytes_out
        for kind, number in live.items():
            samples["novnc_sessions", (("type", DEFINITIONS["novnc_sessions"].value("type", kind)),)] = float(number)

    def _opened(self, event: SessionOpened) -> None:
        phases: dict[str, float] = {}
        for name, seconds in event.phases:
            phase = PHASE_OF.get(name, name)
            phases[phase] = phases.get(phase, 0.0) + seconds
        for phase, seconds in phases.items():
            self._observe("novnc_session_setup_seconds", "phase", phase, seconds)
        self._observe("novnc_session_setup_seconds", "phase", "total", sum(phases.values()))

    def _closed(self, event: SessionClosed) -> None:
        name = "novnc_sessions_ended_total" if event.phase == _LIVE else "novnc_refusals_total"
        self._count(name, "cause", event.cause)
        self._count("novnc_session_bytes_total", "direction", "in", event.bytes_in)
        self._count("novnc_session_bytes_total", "direction", "out", event.bytes_out)

    def _used(self, event: TokenUsed) -> None:
        self._count("novnc_tokens_total", "event", "used")
        if event.place_seconds is not None:
            self._observe("novnc_session_setup_seconds", "phase", "place", event.place_seconds)

    def _count(self, name: str, label: str, value: str, by: float = 1.0) -> None:
        self._counters[name].labels(DEFINITIONS[name].value(label, value)).inc(by)

    def _observe(self, name: str, label: str, value: str, seconds: float) -> None:
        self._histograms[name].labels(DEFINITIONS[name].value(label, value)).observe(seconds)

    def _counter(self, name: str) -> "Counter":
        from prometheus_client import Counter

        counter = Counter(name, DEFINITIONS[name].help, list(DEFINITIONS[name].labels), registry=self._registry)
        self._begin(name, counter)
        return counter

    def _histogram(self, name: str) -> "Histogram":
        from prometheus_client import Histogram

        definition = DEFINITIONS[name]
        histogram = Histogram(
            name, definition.help, list(definition.labels), buckets=definition.buckets, registry=self._registry
        )
        self._begin(name, histogram)
        return histogram

    def _begin(self, name: str, metric: "Counter | Histogram") -> None:
        """Start all time series of a metric with 0, unless the metric is sparse."""
        if not DEFINITIONS[name].sparse:
            for values in DEFINITIONS[name].labels.values():
                for value in values:
                    metric.labels(value)


def _of_kind(kind: str) -> list[str]:
    return [name for name, each in DEFINITIONS.items() if each.kind == kind]
