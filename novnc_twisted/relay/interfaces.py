"""What an end of a session, its receiver, a relay and a filter look like."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal


class IReceiver(Interface):
    """Receives what an end receives: first the handshakes of the set-up, then the relay to the other end."""

    def data_received(data: bytes) -> None:
        """Receive bytes of the stream (RFB), without framing; never empty."""

    def end_lost(cause: Refusal) -> None:
        """Notice that nothing more comes: the peer left, or broke the protocol.

        Called once, and never after ``close``.
        """

    def pause_writing() -> None:
        """Notice that the end's buffer is full: stop what is written to it."""

    def resume_writing() -> None:
        """Notice that the end's buffer has room again."""


class IEnd(Interface):
    """One end of a session: a stream of bytes with back-pressure both ways.  TCP, unix socket, TLS or WebSocket."""

    peer = Attribute("The peer's address as text, for the log.")
    bytes_in = Attribute("Bytes of the stream received, without framing.")
    bytes_out = Attribute("Bytes of the stream written, without framing.")
    heard_at = Attribute("When bytes of the stream last came (the clock's seconds); at first, when the end was made.")

    def attach(receiver: IReceiver) -> None:
        """Pass everything on to this receiver from now on, beginning with what was held back.

        A receiver that comes late is notified at once of what it missed: the end was lost, its buffer is full.
        """

    def give_back(data: bytes) -> None:
        """Detach the receiver, and hold these bytes for the next one, before the bytes that come meanwhile."""

    def write(data: bytes) -> None:
        """Send; never raises, and does nothing after the end was lost or closed."""

    def pause_reading() -> None:
        """Take no more from the peer; that it leaves may then go unnoticed."""

    def resume_reading() -> None:
        """Take bytes again."""

    def close(cause: Refusal) -> None:
        """Hang up: send what is written, then the cause in the end's own manner; abort if that takes too long."""

    def closed() -> Deferred[None]:
        """Return a Deferred that fires when the connection is gone.

        After ``close`` that is never later than the time-out of the abort.
        """


class IFilter(Interface):
    """A check of the bytes of a live session, which may also change them.  Without filters, the relay has no such step.

    A filter that has no method for a direction costs nothing there.
    """

    unfinished = Attribute(
        """The number of bytes still to come of a viewer's message that was passed on in part; 0 between messages.

        Only the first filter of a relay needs it.  That filter receives the viewer's bytes in pieces of any size.  It
        passes whole messages on; only long messages are passed on in pieces.  This attribute shows the relay where a
        message ends, so that filters can be added and removed there.
        """
    )

    def from_client(data: bytes) -> bytes:
        """Return the part of these bytes that goes on to the VNC server; raise a Refusal to end the session."""

    def from_upstream(data: bytes) -> bytes:
        """Return the part of these bytes that goes on to the viewer; raise a Refusal to end the session."""


class IRelay(Interface):
    """Two joined ends."""

    filters = Attribute("The filters, a tuple: that of the viewer's side first.")

    def start(ended: Callable[[Refusal], None]) -> None:
        """Let the bytes of each end flow to the other until one of them is lost.

        :param ended: called once with the cause: that of the lost end, or the Refusal that a filter raised.  It is not
            called after :meth:`stop`; it may be called before ``start`` returns.
        """

    def stop() -> None:
        """Stop the flow; the ends stay open.  A second call does nothing."""

    def add_filter(added: IFilter) -> None:
        """Put a filter behind the others.  It receives the viewer's messages from the next whole message on.

        :raises ValueError: the filter reads the viewer's messages, and the relay has no filter that knows their ends.
        """

    def remove_filter(removed: IFilter) -> None:
        """Remove a filter: an unfinished message still passes through it, the next message does not.

        :raises ValueError: the relay does not have it, or it is the first one, which shows where messages end.
        """
