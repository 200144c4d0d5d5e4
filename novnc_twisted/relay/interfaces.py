"""The interfaces of an end (one of the two connections of a session), its receiver, a relay, and a filter."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal


class IReceiver(Interface):
    """Receives the bytes of an end.  During the set-up, a handshake channel is the receiver; later, the relay is."""

    def data_received(data: bytes) -> None:
        """Receive bytes of the stream (RFB), without framing; at least one byte."""

    def end_lost(cause: Refusal) -> None:
        """Called when the end is lost: its peer left, broke the protocol, or no longer reads or answers.

        No more bytes come.  A receiver is notified at most once, and never after the end's ``close``.
        """

    def pause_writing() -> None:
        """Called when the write buffer of the end is full: stop writing to the end."""

    def resume_writing() -> None:
        """Called when the write buffer of the end has room again."""


class IEnd(Interface):
    """One end of a session: a stream of bytes with back-pressure both ways.  TCP, unix socket, TLS or WebSocket."""

    peer = Attribute("The peer's address as text, for the log.")
    bytes_in = Attribute("Bytes of the stream received, without framing.")
    bytes_out = Attribute("Bytes of the stream written, without framing.")
    heard_at = Attribute(
        "The clock's seconds when bytes of the stream last arrived.  If none have arrived yet: when the end was made."
    )

    def attach(receiver: IReceiver) -> None:
        """Pass all received bytes to this receiver from now on, beginning with the bytes that the end has held.

        If the end was lost or its write buffer became full before this call, the receiver is notified immediately.
        """

    def give_back(data: bytes) -> None:
        """Detach the receiver, and hold these bytes for the next receiver, in front of bytes that arrive meanwhile."""

    def write(data: bytes) -> None:
        """Send bytes; never raises, and does nothing after the connection is gone or the end was closed."""

    def pause_reading() -> None:
        """Stop reading from the peer.  While reading is stopped, the end may fail to notice that the peer leaves."""

    def resume_reading() -> None:
        """Read from the peer again."""

    def close(cause: Refusal) -> None:
        """Send all written bytes and the cause, and close; abort after a time-out.

        Each kind of end sends the cause in its own form, for example as a close frame, or does not send it.
        """

    def closed() -> Deferred[None]:
        """Return a Deferred that fires when the connection is gone.

        After ``close``, it fires at the latest when the time-out of ``close`` is over.
        """


class IFilter(Interface):
    """Checks the bytes of a live session, and may change them.

    A filter may leave out the method of a direction; then it costs nothing in this direction.
    """

    unfinished = Attribute(
        """The missing bytes of a message whose first part was passed on or removed; 0: none.

        Only the first filter of a relay needs this attribute.  That filter receives the viewer's bytes in pieces of any
        size, and may pass on a message in several pieces.  From this attribute, the relay knows where such a message
        ends, so that it can add and remove filters there.
        """
    )

    def from_client(data: bytes) -> bytes:
        """Return the bytes to send on to the VNC server; raise a Refusal to end the session."""

    def from_upstream(data: bytes) -> bytes:
        """Return the bytes to send on to the viewer; raise a Refusal to end the session."""


class IRelay(Interface):
    """Two joined ends."""

    filters = Attribute("The filters, a tuple; the first one is nearest to the viewer.")

    def start(ended: Callable[[Refusal], None]) -> None:
        """Let the bytes of each end flow to the other end, until an end is lost or a filter raises a Refusal.

        :param ended: called once with the cause: that of the lost end, or the Refusal that a filter raised.  It is not
            called after :meth:`stop`; it may be called before ``start`` returns.
        """

    def stop() -> None:
        """Stop the flow; the ends stay open.  A second call does nothing."""

    def add_filter(added: IFilter) -> None:
        """Add a filter behind the others.  It receives the viewer's messages from the next whole message on.

        :raises ValueError: the filter reads the viewer's messages, but the relay has no first filter that knows where
            they end.
        """

    def remove_filter(removed: IFilter) -> None:
        """Remove a filter.  Only the rest of an unfinished message of the viewer still passes through it.

        :raises ValueError: the relay does not have this filter, or the filter is the relay's first one, which knows
            where messages end.
        """
