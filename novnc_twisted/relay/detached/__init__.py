"""The detached relay: takes the sockets of a live session out of their transports, and watches them with its own epoll.

With transports, most CPU time is the reactor's: each write changes the set of descriptors that the reactor waits for,
and each read makes a new bytes object.  Here a session has two sides.  All sides share one buffer and one
edge-triggered epoll, which is a single reader for the reactor.  Data is sent at once.  Data that a peer does not accept
is held.  Until this data is sent, the relay does not read from the other peer.  So at most one buffer is held for each
direction.  When it was measured, the detached relay used half of the CPU time of transports for pictures, and a third
for a round trip.

When the session ends, the sockets return to transports, which close them like every other connection.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__, {"Engine": "engine", "engine_of": "engine", "StreamSide": "side", "detached_join": "relay"}
)
