"""What the proxies share in front of a session: accepting connections, the HTTP head, and the log of refusals."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Acceptor": "accepting",
        "FrontFactory": "front",
        "FrontProtocol": "front",
        "RefusalEvent": "refusals",
        "RefusalLog": "refusals",
        "RefusalObserver": "refusals",
    },
)
