"""nova-api: the part of the Compute API that consoles need, for unmodified OpenStack clients, with a small identity."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "HTTPBasic": "auth",
        "IAuth": "auth",
        "NoAuth": "noauth",
        "make_site": "site",
    },
)
