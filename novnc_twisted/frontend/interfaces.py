"""What a listener asks of the server behind it."""

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.events.records import Observer


class IFront(Protocol):
    """A protocol factory behind a :class:`~novnc_twisted.frontend.listener.Listener`: a proxy, or the API.

    :ivar name: its name in events.
    :ivar connection_limits: how many connections there may be, those included that the listener has not passed on yet.
    :ivar observer: called with an event for each connection that the listener refuses.
    """

    name: str
    connection_limits: ConnectionLimits
    observer: Observer

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> Any:
        """Make the protocol of a connection that has its slot already.

        The listener sets the protocol's attribute ``began`` to the time of accept, in the reactor's seconds.
        """

    def doStart(self) -> None:
        """See twisted.internet.protocol.Factory."""

    def doStop(self) -> None:
        """See twisted.internet.protocol.Factory."""
