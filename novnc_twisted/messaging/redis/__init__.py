"""Calls, presence and the keyed store over Redis or Valkey (``redis://`` and its kin)."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"RedisTransport": "transport"})
