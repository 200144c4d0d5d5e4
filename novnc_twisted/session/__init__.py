"""The story of a connection, the same for both fronts, and the record that it leaves."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "IViewer": "interfaces",
        "Session": "session",
        "SessionLimits": "limits",
        "SessionSettings": "settings",
        "SessionRegistry": "registry",
        "SessionServices": "services",
        "UpstreamTLS": "upstream.tls",
    },
)
