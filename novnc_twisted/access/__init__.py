"""Plain rules about requests: heads, Origin, forwarded addresses, tokens, connection limits, links.  No I/O."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BadHead": "request_head",
        "ConnectionLimits": "connection_limits",
        "Failures": "failures",
        "HeadBuffer": "request_head",
        "HeadTooBig": "request_head",
        "RequestHead": "request_head",
        "access_url": "access_url",
        "client_address": "forwarded",
        "hash_token": "tokens",
        "judge_origin": "origin",
        "read_request": "request_head",
        "read_status": "request_head",
        "scrub": "display",
        "token_of": "tokens",
    },
)
