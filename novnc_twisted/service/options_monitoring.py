"""The options of ``[monitoring]``; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.option_types import CheckedOpt
from novnc_twisted.service.option_values import listen_address

MONITORING: list[cfg.Opt] = [
    CheckedOpt(
        "listen",
        listen_address,
        help="HOST:PORT on which a command answers /healthz, /readyz (200, or 503 with what is missing) and /metrics "
        "(Prometheus) over plain HTTP, to everyone who can connect; an IPv6 address stands in brackets. Each "
        "command needs a port of its own, so set this in the file of the command. Unset: no such port.",
    ),
    cfg.BoolOpt(
        "tracing",
        default=False,
        help="Make OpenTelemetry spans for the phases of each set-up of a session. Needs the extra [tracing], and a "
        "tracer provider that opentelemetry-instrument sets.",
    ),
]
