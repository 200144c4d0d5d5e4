"""The part before a session that both proxies share: accepting connections and reading the HTTP head."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Acceptor": "accepting",
        "FrontFactory": "factory",
        "FrontProtocol": "protocol",
    },
)
