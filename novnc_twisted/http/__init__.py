"""The HTTP server: twisted.web with limits, requests, responses and health checks.  Independent of applications."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "HTTPError": "errors",
        "Request": "request",
        "Response": "response",
        "Router": "routing",
        "Site": "site",
    },
)
