"""Limits for the number of connections: in all, and for each client network.

A connection without a request costs its client nothing.  Without a limit, one address can take every file descriptor of
the process by opening connections and sending nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from novnc_twisted.access.failures import network_of
from novnc_twisted.access.forwarded import Network, is_trusted

T = TypeVar("T")

SHARE: Final = 10
"""While at least half of the maximum is in use, the share of one network is ``1 / SHARE`` of the maximum.

The share is at least one connection.  A network that had more connections before keeps them.
"""

LimitObserver: TypeAlias = Callable[[str, str], None]
"""Called with the address of a refused connection, or the network of a closed one, and with the reason."""


class ConnectionLimits:
    """Counts connections, and decides whether a new connection may stay.

    While less than half of the maximum is in use, every client may connect.  While at least half is in use, a network
    (an IPv4 address or an IPv6 /64) may have a tenth of the maximum.  This share does not apply to trusted proxies and
    unix sockets, which carry the connections of many clients.  Connections with a valid console token do not count for
    the share (``ConnectionSlot.authorised()``): an office behind one address may have any number of consoles.

    A connection is *silent* while it waits for a request.

    A new connection over the share of its network replaces an old connection of the same network.  A new connection
    over the maximum replaces an old connection of any network.  The first of these is closed:

    1. the old connection that has been silent longest;
    2. of the old connections whose client has to read a response or to send the body of a request, the one that has
       waited longest.

    If there is neither, the new connection is refused.

    :ivar maximum: maximum number of connections at the same time; 0: no limit.
    """

    def __init__(
        self, maximum: int = 0, *, trusted: Sequence[Network] = (), observer: LimitObserver = lambda address, why: None
    ) -> None:
        """Begin without connections.

        :param trusted: the trusted proxies.
        :param observer: called for each connection that is refused, or that is closed to make room.
        """
        self.maximum = maximum
        self._trusted = tuple(trusted)
        self._observer = observer
        self._taken = 0
        self._networks: dict[str, _Network] = {}
        self._waiting = _Waiting()

    def change(self, maximum: int, trusted: Sequence[Network]) -> None:
        """Use another maximum and other trusted proxies for new connections."""
        self.maximum, self._trusted = maximum, tuple(trusted)

    def __len__(self) -> int:
        return self._taken

    def admit(self, address: str) -> "ConnectionSlot | None":
        """Return a slot for a new connection from this address; None: the connection has to be closed.

        :param address: the client's address; empty for a unix socket.
        """
        key = network_of(address)
        network = self._networks.get(key)
        if self.maximum and self._taken >= self.maximum // 2 and not self._make_room(address, network):
            return None
        # Add the network if it is new, or if _make_room() has just closed the network's only connection.
        network = self._networks.setdefault(key, network or _Network(key))
        network.taken += 1
        self._taken += 1
        return ConnectionSlot(self, network)

    def admit_and_build(self, address: str, build: "Callable[[ConnectionSlot], T]") -> T | None:
        """Return what ``build`` makes for a new connection from this address; None: the connection has to be closed.

        :param build: called with the slot, which then belongs to the result.  If ``build`` raises an exception, the
            slot is released.
        """
        slot = self.admit(address)
        if slot is None:
            return None
        try:
            return build(slot)
        except BaseException:
            slot.release()
            raise

    def _make_room(self, address: str, network: "_Network | None") -> bool:
        limited = address != "" and not is_trusted(address, self._trusted)
        if limited and network is not None and network.taken >= max(1, self.maximum // SHARE):
            why = (
                f"this network has {network.taken} connections (consoles with a valid token do not count), and at "
                f"least half of the {self.maximum} allowed connections are in use"
            )
            return self._close_oldest(network.waiting, address, why)
        if self._taken >= self.maximum:
            return self._close_oldest(self._waiting, address, f"all {self.maximum} connections are in use")
        return True

    def _close_oldest(self, waiting: "_Waiting", address: str, why: str) -> bool:
        slot = waiting.oldest()
        if slot is None:
            self._observer(address, f"{why}; no connection could be closed to make room")
            return False
        self._observer(slot.network, f"{why}; a connection that waited for its client was closed")
        # Release the slot first, because the new connection needs it now.  When the old connection is lost, release()
        # is called again, which has no effect.
        close = slot.close
        slot.release()
        if close is not None:
            close()
        return True

    def _leave_network(self, network: "_Network") -> None:
        network.taken -= 1
        if not network.taken:
            self._networks.pop(network.key, None)


class _Waiting:
    """Connections that wait for their clients, in the order in which they began to wait.

    :ivar silent: the connections that wait for a request.
    :ivar reading: the connections whose client has to read a response, or to send the body of a request.
    """

    __slots__ = ("reading", "silent")

    def __init__(self) -> None:
        self.silent: OrderedDict[ConnectionSlot, None] = OrderedDict()
        self.reading: OrderedDict[ConnectionSlot, None] = OrderedDict()

    def oldest(self) -> "ConnectionSlot | None":
        """Return the connection to close first, or None."""
        # An OrderedDict gives the oldest in constant time, also with thousands of silent connections.
        return next(iter(self.silent), None) or next(iter(self.reading), None)

    def add(self, slot: "ConnectionSlot", *, reading: bool) -> None:
        """Append a connection.

        :param reading: whether to append it to ``reading``; False: to ``silent``.
        """
        (self.reading if reading else self.silent)[slot] = None

    def remove(self, slot: "ConnectionSlot") -> None:
        """Remove a connection, if it waits."""
        self.silent.pop(slot, None)
        self.reading.pop(slot, None)


class _Network:
    """The connections of one network."""

    __slots__ = ("key", "taken", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.taken = 0
        self.waiting = _Waiting()


class ConnectionSlot:
    """Counts one connection, until it is released.

    :ivar close: closes the connection; None while the connection does not wait for its client.
    """

    __slots__ = ("_limits", "_network", "close")

    def __init__(self, limits: ConnectionLimits, network: _Network) -> None:
        self._limits: ConnectionLimits | None = limits
        self._network: _Network | None = network
        self.close: Callable[[], None] | None = None

    @property
    def network(self) -> str:
        """The network of the client (see :func:`network_of`); empty for a unix socket, and after :meth:`authorised`."""
        return "" if self._network is None else self._network.key

    def silent(self, close: Callable[[], None]) -> None:
        """Record that the connection waits for a request: from now on, ``close`` may be called to make room.

        After :meth:`authorised`, this method and :meth:`reading` do nothing.
        """
        self._wait(close, reading=False)

    def reading(self, close: Callable[[], None]) -> None:
        """Record that the client reads a response or sends a body.

        To make room for a new connection, ``close`` is called only if no silent connection can be closed instead.
        """
        self._wait(close, reading=True)

    def _wait(self, close: Callable[[], None], *, reading: bool) -> None:
        if self._limits is not None and self._network is not None:
            # Leave the old queue first: a connection that begins to wait goes to the end of the queue.
            self.busy()
            self.close = close
            self._network.waiting.add(self, reading=reading)
            self._limits._waiting.add(self, reading=reading)

    def busy(self) -> None:
        """Record that the connection does not wait for its client, so that it is not closed to make room."""
        if self.close is not None and self._limits is not None and self._network is not None:
            self.close = None
            self._network.waiting.remove(self)
            self._limits._waiting.remove(self)

    def authorised(self) -> None:
        """Record that the client has a valid console token.  The proxies call this, the API does not.

        From now on, the connection does not count for its network, and is never closed to make room.
        """
        if self._limits is not None and self._network is not None:
            self.busy()
            self._limits._leave_network(self._network)
            self._network = None

    def release(self) -> None:
        """Record that the connection is closed, or will be closed at once.  Further calls do nothing."""
        if self._limits is not None:
            # This also removes the connection from the queues, and from the count of its network.
            self.authorised()
            self._limits._taken -= 1
            self._limits = None
