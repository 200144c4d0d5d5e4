"""The HTTP server: twisted.web under limits, requests, responses and health checks.  It knows no application."""

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
