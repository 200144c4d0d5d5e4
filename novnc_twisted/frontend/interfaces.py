"""The interface of a server behind a listener."""

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.events.records import Observer


class IFront(Protocol):
    """A protocol factory behind a :class:`~novnc_twisted.frontend.listener.Listener`: a proxy, or the API.

    :ivar name: the server's name in events.
    :ivar connection_limits: limits the number of connections, including those that the listener still holds.
    :ivar observer: called with an event for each connection that the listener refuses.
    """

    name: str
    connection_limits: ConnectionLimits
    observer: Observer

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> Any:
        """Make the protocol for a connection that already has its slot.

        The listener then sets the protocol's attribute ``began`` to the time of accept, in the reactor's seconds.
        """

    def doStart(self) -> None:
        """See twisted.internet.protocol.Factory."""

    def doStop(self) -> None:
        """See twisted.internet.protocol.Factory."""
