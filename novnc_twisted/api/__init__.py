"""nova-api: the part of the Compute API that consoles need, for unmodified OpenStack clients."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "make_site": "site",
    },
)
