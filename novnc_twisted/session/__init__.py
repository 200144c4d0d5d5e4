"""A console session, from its set-up to its end.  The noVNC proxy and the XVP proxy share this code."""

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
