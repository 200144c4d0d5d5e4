"""The HTTP server: twisted.web with limits, its requests and responses, and health checks.

It does not depend on the applications that it serves.
"""

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
