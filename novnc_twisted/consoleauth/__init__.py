"""nova-consoleauth: which token opens which console, for which user, and until when."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ConsoleAuthAPI": "rpcapi",
        "ConsoleAuthManager": "manager",
        "TokenStore": "store",
    },
)
