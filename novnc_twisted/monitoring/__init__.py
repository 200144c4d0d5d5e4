"""Monitoring of a process: metrics in Prometheus' format, and whether the process is ready to serve."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "DEFINITIONS": "definitions",
        "Metrics": "metrics",
        "Monitor": "monitor",
        "MonitoringApplication": "application",
        "MonitoringSite": "site",
        "Readiness": "readiness",
        "SetupSpans": "tracing",
        "Status": "status",
        "Totals": "totals",
        "worker_samples": "totals",
    },
)
