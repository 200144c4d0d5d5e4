"""The table of metrics, from which the documentation of the metrics is generated.

Every label has a fixed set of values, so that the number of time series is limited.  Therefore no label contains a
VM, a user, a token, an address, or anything else that clients choose.  The only exception is ``novnc_build_info``:
its labels are versions, which do not change while a process runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, get_args

from novnc_twisted.contract.connect_info import CONSOLE_TYPES
from novnc_twisted.contract.topics import TOPICS
from novnc_twisted.errors import TABLE
from novnc_twisted.events.refused import RefusalCause

OTHER: Final = "other"
"""The label value that replaces every value outside the label's fixed set."""

PARTS: Final = ("bus", "store", "libvirt", "page", "authority")
"""Parts that a command may need in order to be ready.

``bus``: the transport for calls between services; ``store``: the store of tokens; ``libvirt``; ``page``: the files of
the console page; ``authority``: what checks console tokens (consoleauth, nova's API or a token plug-in), and Keystone
if the command uses it.
"""

PHASES: Final = ("token", "place", "dial", "negotiate", "total")
"""The phases of a session's set-up; ``total`` is the whole set-up.

``place`` is the part of ``token`` in which consoleauth asks the compute host where the console is.
"""

PHASE_OF: Final = {
    "token": "token",
    "dial": "dial",
    "access path": "negotiate",
    "login": "negotiate",
    "offer": "negotiate",
}
"""The name of a set-up phase in the events -> its name in the metrics.  ``negotiate`` combines three phases."""

ANSWERING, SILENT = "answering", "silent"
"""The states of a process in ``novnc_workers``."""

_METHODS: Final = tuple(sorted({method for topic in TOPICS for method in topic.methods}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A metric.

    :ivar name: the metric's name in Prometheus.
    :ivar kind: Prometheus' type; ``info`` is a gauge that is always 1.
    :ivar help: a text that says what the metric counts or measures, with the unit.
    :ivar labels: label -> its fixed set of values, without :data:`OTHER`; empty for the labels of ``novnc_build_info``.
    :ivar buckets: upper limits of a histogram's buckets, in seconds.
    :ivar sparse: True: each time series appears with its first value.  False: each time series is 0 from the start of
        the process, so that Prometheus sees the first value as an increase.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    buckets: tuple[float, ...] = ()
    sparse: bool = False

    def value(self, label: str, text: str) -> str:
        """Return ``text`` if it is one of the label's values, else :data:`OTHER`."""
        return text if text in self.labels[label] else OTHER


_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SETUP: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_ALL: Final = (
    Definition(
        name="novnc_sessions",
        kind="gauge",
        help="Live sessions: viewers that are connected to their VNC server.",
        labels={"type": CONSOLE_TYPES},
    ),
    Definition(
        name="novnc_session_setup_seconds",
        kind="histogram",
        help="Seconds that each phase of the set-up of a session took. For sessions that became live: token (the check "
        "of the token), dial (the connection to the VNC server), negotiate (the handshakes with both sides), and "
        "total. For every use of a valid token: place (consoleauth's search for the console, a part of token).",
        labels={"phase": PHASES},
        buckets=_SETUP,
    ),
    Definition(
        name="novnc_sessions_ended_total",
        kind="counter",
        help="Live sessions that ended, by the cause.",
        labels={"cause": tuple(sorted(TABLE))},
    ),
    Definition(
        name="novnc_refusals_total",
        kind="counter",
        help="Requests and sessions that were refused before a session was live, by the cause.",
        labels={"cause": tuple(sorted({*TABLE, *get_args(RefusalCause)}))},
    ),
    Definition(
        name="novnc_session_bytes_total",
        kind="counter",
        help="Bytes of RFB that sessions received from the viewer (in) and sent to the viewer (out).",
        labels={"direction": ("in", "out")},
    ),
    Definition(
        name="novnc_bus_call_seconds",
        kind="histogram",
        help="Seconds that calls to other services took, answered or not, by the method.",
        labels={"method": _METHODS},
        buckets=_FAST,
        sparse=True,
    ),
    Definition(
        name="novnc_bus_failures_total",
        kind="counter",
        help="Calls to other services that had no answer in time, could not be sent, or were answered with "
        "ServiceUnavailable, by the method.",
        labels={"method": _METHODS},
    ),
    Definition(
        name="novnc_tokens_total",
        kind="counter",
        help="Console tokens that were made, used, refused and revoked.",
        labels={"event": ("made", "used", "refused", "revoked")},
    ),
    Definition(
        name="novnc_missing",
        kind="gauge",
        help="Processes of this command that lack a part that they need, as /readyz says.",
        labels={"part": PARTS},
    ),
    Definition(
        name="novnc_workers",
        kind="gauge",
        help="Processes of this command that have answered this scrape, and those that have not answered in time. "
        "The gauges leave out the silent processes; the counters include the last known values of these processes.",
        labels={"state": (ANSWERING, SILENT)},
    ),
    Definition(
        name="novnc_build_info",
        kind="info",
        help="Always 1; its labels name the versions of novnc_twisted and of Python.",
        labels={"version": (), "python": ()},
    ),
)

DEFINITIONS: Final[Mapping[str, Definition]] = MappingProxyType({each.name: each for each in _ALL})
"""All metrics, by name."""
