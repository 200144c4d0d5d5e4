"""How many connections there may be: over all, and for each network that they come from.

A connection that has not sent a request costs its sender nothing.  Without a limit, one address can take every file
descriptor of the process by connecting and staying silent.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from novnc_twisted.access.failures import network_of
from novnc_twisted.access.forwarded import Network, is_trusted

SHARE: Final = 10
"""One network may have the tenth part of all connections once half of them are taken."""

LimitObserver: TypeAlias = Callable[[str, str], None]
"""Called with the address whose connection is refused or closed, and the reason."""


class ConnectionLimits:
    """Counts connections, and says for each new one whether it may stay.

    Up to half of the maximum everyone may connect.  Beyond it, a network (an IPv4 address, an IPv6 /64) has a share of
    one tenth of the maximum; trusted proxies and unix sockets speak for many clients and have no share.  Where a place
    is missing, the connection that has been silent for the longest time is closed: of the same network where its share
    is used up, else of all.  A connection that has sent its request is never closed for another one.  One whose client
    has a good token does not count for its network: an office behind one address may have as many consoles as it likes.

    :ivar maximum: connections at a time; 0 is off.
    """

    def __init__(
        self, maximum: int = 0, *, trusted: Sequence[Network] = (), observer: LimitObserver = lambda address, why: None
    ) -> None:
        """Start with no connection.

        :param trusted: the trusted proxies.
        :param observer: called for each connection that is refused, or closed for another one.
        """
        self.maximum = maximum
        self._trusted = tuple(trusted)
        self._observer = observer
        self._taken = 0
        self._networks: dict[str, _Network] = {}
        self._silent: OrderedDict[ConnectionSlot, None] = OrderedDict()  # the longest silent first

    def __len__(self) -> int:
        return self._taken

    def admit(self, address: str) -> "ConnectionSlot | None":
        """A slot for a new connection from this address, or None where it must be closed.

        :param address: the client's address; empty for a unix socket.
        """
        key = network_of(address)
        network = self._networks.get(key)
        if self.maximum and self._taken >= self.maximum // 2 and not self._make_room(address, network):
            return None
        network = self._networks.setdefault(key, network or _Network(key))
        network.taken += 1
        self._taken += 1
        return ConnectionSlot(self, network)

    def _make_room(self, address: str, network: "_Network | None") -> bool:
        limited = address != "" and not is_trusted(address, self._trusted)
        if limited and network is not None and network.taken >= max(1, self.maximum // SHARE):
            why = f"{network.taken} of {self.maximum} connections come from this network, and half of all are in use"
            return self._close_oldest(network.silent, network, address, why)
        if self._taken >= self.maximum:
            return self._close_oldest(self._silent, None, address, f"all {self.maximum} connections are in use")
        return True

    def _close_oldest(
        self, silent: "OrderedDict[ConnectionSlot, None]", network: "_Network | None", address: str, why: str
    ) -> bool:
        slot = next(iter(silent), None)
        if slot is None:
            self._observer(address, f"{why}, and none of them waits for its request")
            return False
        self._observer(slot.network, f"{why}; the connection without a request that waited longest was closed")
        close = slot.close
        slot.release()
        if close is not None:
            close()
        return True

    def _leave_network(self, network: "_Network") -> None:
        network.taken -= 1
        if not network.taken:
            self._networks.pop(network.key, None)


class _Network:
    """The connections of one network."""

    __slots__ = ("key", "silent", "taken")

    def __init__(self, key: str) -> None:
        self.key = key
        self.taken = 0
        self.silent: OrderedDict[ConnectionSlot, None] = OrderedDict()


class ConnectionSlot:
    """The place of one connection, until it is released.

    :ivar close: closes the connection, while it is silent.
    """

    __slots__ = ("_limits", "_network", "close")

    def __init__(self, limits: ConnectionLimits, network: _Network) -> None:
        self._limits: ConnectionLimits | None = limits
        self._network: _Network | None = network
        self.close: Callable[[], None] | None = None

    @property
    def network(self) -> str:
        """The client's network, as :func:`network_of` names it; empty once nothing counts for it."""
        return "" if self._network is None else self._network.key

    def silent(self, close: Callable[[], None]) -> None:
        """The connection waits for its client's request: it may be closed from now on, by ``close``."""
        if self._limits is not None and self._network is not None:
            self.busy()
            self.close = close
            self._network.silent[self] = self._limits._silent[self] = None

    def busy(self) -> None:
        """A request came: the connection stays."""
        if self.close is not None and self._limits is not None and self._network is not None:
            self.close = None
            del self._network.silent[self], self._limits._silent[self]

    def authorised(self) -> None:
        """The client has a good token: its connection uses up nothing of its network's share any more."""
        if self._limits is not None and self._network is not None:
            self.busy()
            self._limits._leave_network(self._network)
            self._network = None

    def release(self) -> None:
        """The connection is gone.  Later calls do nothing."""
        if self._limits is not None:
            self.authorised()
            self._limits._taken -= 1
            self._limits = None
