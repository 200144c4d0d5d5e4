"""The API server: the part of nova's Compute API that consoles need, the console API, and the pages for browsers."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "make_site": "site",
    },
)
