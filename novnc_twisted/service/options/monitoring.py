"""The options of ``[monitoring]``; see :mod:`novnc_twisted.service.options`."""

from oslo_config import cfg

from novnc_twisted.service.options.types import CheckedOpt
from novnc_twisted.service.options.values import listen_address

MONITORING: list[cfg.Opt] = [
    CheckedOpt(
        "listen",
        listen_address,
        help="HOST:PORT on which a command answers /healthz, /readyz (200, or 503 and what is missing) and /metrics "
        "(Prometheus), over plain HTTP, to everyone who can connect. Write an IPv6 address in brackets. Each "
        "command needs a different port, so set this option in the configuration file of the command. Unset: no "
        "such port.",
    ),
    cfg.BoolOpt(
        "tracing",
        default=False,
        help="Make OpenTelemetry spans for the set-up of each session and for its phases. Needs the extra [tracing], "
        "and a tracer provider, which opentelemetry-instrument sets up.",
    ),
]
