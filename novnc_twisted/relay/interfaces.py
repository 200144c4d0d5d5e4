"""What an end of a session looks like, whatever carries it, and who hears it."""

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from novnc_twisted.errors import Refusal


class IReceiver(Interface):
    """Who hears an end: first the grammar of the set-up, then the other end's relay."""

    def data_received(data: bytes) -> None:
        """Bytes of the stream (RFB), unframed; never empty."""

    def end_lost(cause: Refusal) -> None:
        """Nothing more comes from this end: its peer left, or broke the protocol.  Told once, never after ``close``."""

    def pause_writing() -> None:
        """The end's buffer is full: stop what feeds it."""

    def resume_writing() -> None:
        """There is room again."""


class IEnd(Interface):
    """One end of a session: a stream of bytes with back-pressure both ways.  TCP, unix socket, TLS or WebSocket."""

    peer = Attribute("The peer's address as text, for the log.")
    bytes_in = Attribute("Bytes of the stream received, without framing.")
    bytes_out = Attribute("Bytes of the stream written, without framing.")
    heard_at = Attribute("When bytes of the stream last came (the clock's seconds); at first, when the end was made.")

    def attach(receiver: IReceiver) -> None:
        """Hand everything from now on to this receiver, what was held back first.

        A receiver that comes late is told at once what it missed: that the end was lost, that its buffer is full.
        """

    def give_back(data: bytes) -> None:
        """Detach the receiver and hold these bytes for the next one, before whatever comes meanwhile."""

    def write(data: bytes) -> None:
        """Send; never raises, and does nothing after the end was lost or closed."""

    def pause_reading() -> None:
        """Take no more from the peer; its leaving may then go unnoticed."""

    def resume_reading() -> None:
        """Take bytes again."""

    def close(cause: Refusal) -> None:
        """Hang up: what is written goes out, then the cause in the end's own manner; then abort, on a timer."""

    def closed() -> Deferred[None]:
        """Fires when the connection is gone, cleanly or not.  Never later than the abort's timer after ``close``."""


class IFilter(Interface):
    """A policy that looks into a live session.  Where there is none, the relay has no such step.

    A direction that it does not look at costs nothing where the policy has no method for it.
    """

    def from_client(data: bytes) -> bytes:
        """What of these bytes goes on to the VNC server; raise a Refusal to end the session."""

    def from_upstream(data: bytes) -> bytes:
        """What of these bytes goes on to the viewer; raise a Refusal to end the session."""
