"""What an end of a session looks like, whatever carries it."""

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal


class IReceiver(Interface):
    """Who hears an end: first the grammar of the set-up, then the other end's relay."""

    def data_received(data: bytes) -> None:
        """Bytes of the stream (RFB), unframed."""

    def end_lost(cause: Refusal) -> None:
        """The end is gone; called once, also after ``close``."""

    def pause_writing() -> None:
        """The end's buffer is full: stop what feeds it."""

    def resume_writing() -> None:
        """There is room again."""


class IEnd(Interface):
    """One end of a session: a stream of bytes with back-pressure both ways.  TCP, unix socket, TLS or WebSocket."""

    peer = Attribute("The peer's address as text, for the log.")
    bytes_in = Attribute("Bytes of the stream received, without framing.")
    bytes_out = Attribute("Bytes of the stream written, without framing.")

    def attach(receiver: IReceiver) -> None:
        """Hand everything from now on to this receiver, what was held back first."""

    def write(data: bytes) -> None:
        """Send; never raises, and does nothing after the end was lost or closed."""

    def pause_reading() -> None:
        """Take no more from the peer; its leaving may then go unnoticed."""

    def resume_reading() -> None:
        """Take bytes again."""

    def close(cause: Refusal) -> None:
        """Hang up: what is written goes out, then the cause in the end's own manner; then abort, on a timer."""

    def closed() -> Deferred[None]:
        """Fires when the end is gone, cleanly or not."""
