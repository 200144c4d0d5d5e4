"""Calls, presence and the keyed store over Redis or Valkey (``redis://`` and its variants).

From txredisapi, this package uses the RESP parser (hiredis) and the queue that matches replies to commands
(``HiredisProtocol``, the base class in :mod:`.protocol`).  It does not use txredisapi's connection factories and
handlers, because they:

* never try again after a failed log-in,
* keep every command in memory while disconnected,
* do not verify server certificates by default,
* have time-outs for a connection, not for a command.

Instead, :mod:`.link` reconnects, :mod:`.command_link` has deadlines and a heartbeat, and :mod:`.endpoint` has TLS and
Sentinels.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"RedisTransport": "transport"})
