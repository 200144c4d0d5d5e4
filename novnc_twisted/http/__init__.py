"""HTTP: the server of the API and of the monitoring (twisted.web with limits), parts for the proxies, and a client.

This package does not depend on the applications that the server serves.
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
