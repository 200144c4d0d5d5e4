"""A console session: its set-up, its life and its end, the same for both proxies."""

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
