"""Calls, presence and the keyed store over Redis or Valkey (``redis://`` and its variants).

Of txredisapi this package uses the RESP parser (hiredis) and the queue that matches replies to commands
(``HiredisProtocol``, in :mod:`.protocol`).  Its connection factories and handlers are not used: after a failed log-in
they never try again, while disconnected they keep every command in memory, by default they verify no server
certificate, and their time-outs are for a connection, not for a command.  :mod:`.link` reconnects instead,
:mod:`.command_link` has deadlines and a heartbeat, and :mod:`.endpoint` has TLS and Sentinels.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"RedisTransport": "transport"})
