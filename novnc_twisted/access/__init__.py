"""Who comes in and where to: request heads, tokens, the Origin policy, connect_info and access_url.  Pure; no I/O."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ConnectInfo": "connect_info",
        "access_url": "access_url",
        "hash_token": "tokens",
        "scrub": "tokens",
        "token_of": "tokens",
    },
)
