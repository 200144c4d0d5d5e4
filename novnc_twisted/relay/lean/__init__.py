"""The lean relay: both sockets leave their transports for one nested epoll inside of the reactor.

What a byte costs on a transport is mostly the reactor's way to it: each write changes what the reactor waits for, each
read makes a bytes object of its own.  Here a session is two halves; all of them share one buffer and one edge-triggered
epoll, which is itself a single reader of the reactor.  What was read is sent at once; what the other side does not take
is kept, and nothing more is read for it until it is gone, so that at most one buffer is held for each direction.
(Measured against transports: half the CPU for pictures, a third for a round trip.)

When the session is over the sockets go back to transports, where hanging up is done as for every other connection.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(__name__, {"Engine": "engine", "engine_of": "engine", "Half": "half", "lean_join": "pair"})
