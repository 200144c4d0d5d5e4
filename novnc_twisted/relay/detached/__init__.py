"""The detached relay: takes the sockets of a live session out of their transports, and watches them with its own epoll.

With Twisted's transports, the reactor takes most of the CPU time: each write changes the set of descriptors that the
reactor waits for, and each read makes a new bytes object.  In the detached relay, a session has two sides, one for each
socket.  All sides of all sessions share one edge-triggered epoll, which is a single reader for the reactor.  Plain
streams (without WebSocket frames) are read into one buffer, which all sessions share.  Data is sent at once.  Data that
a peer does not accept is held, and until it is sent, the relay does not read from the other peer.  So at most the data
of one read is held for each direction; at the beginning of a session, also what was held before the detached relay took
over.  In a measurement, the detached relay copied pictures with half of the CPU time of transports, and needed a third
of their CPU time for a round trip.

When the session ends, the sockets return to transports, which close them like every other connection.
"""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__, {"Engine": "engine", "engine_of": "engine", "StreamSide": "side", "detached_join": "relay"}
)
