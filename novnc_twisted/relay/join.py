"""The relay: two ends joined to one pipe."""

from collections.abc import Callable, Sequence

from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.relay import detached_join
from novnc_twisted.relay.filters import FilteredRelay, Look
from novnc_twisted.relay.interfaces import IEnd, IFilter, IReceiver, IRelay
from novnc_twisted.relay.stream_end import StreamEnd


def join(client: IEnd, upstream: IEnd, filters: Sequence[IFilter] = (), *, detached: bool = True) -> IRelay:
    """Make a relay between two ends; bytes flow from its ``start`` on.

    Back-pressure goes both ways: an end whose buffer is full stops the reading of the other, so that two buffers bound
    what is held, whatever a peer does.  The ends stay open: closing them is the caller's part.

    :param filters: policies between the two, that of the viewer's side first.
    :param detached: let the sockets leave their transports if both can.
    """
    if detached and isinstance(client, StreamEnd) and isinstance(upstream, StreamEnd):
        relay = detached_join(client, upstream, filters)
        if relay is not None:
            return relay
    return TransportRelay(client, upstream, filters)


@implementer(IRelay)
class TransportRelay(FilteredRelay):
    """A relay on the ends' own transports: TLS, and whatever else cannot leave its transport."""

    __slots__ = ("_client", "_upstream")

    def __init__(self, client: IEnd, upstream: IEnd, filters: Sequence[IFilter]) -> None:
        super().__init__(filters)
        self._client = _Direction(self, client, upstream)
        self._upstream = _Direction(self, upstream, client)
        self._install()

    def start(self, ended: Callable[[Refusal], None]) -> None:
        """See IRelay."""
        self._ended = ended
        directions = self._upstream, self._client
        for direction in directions:
            # Both sources read before either is attached: an attach may end the session at once.
            direction.source.resume_reading()  # an end that a detached relay had before does not read
        for direction in directions:
            if self.live:
                direction.source.attach(direction)

    def stop(self) -> None:
        """See IRelay."""
        self.live = False

    @property
    def _from_client(self) -> Look:
        return self._client.look

    def _use(self, from_client: Look, from_upstream: Look) -> None:
        self._client.look, self._upstream.look = from_client, from_upstream


@implementer(IReceiver)
class _Direction:
    """Receives from one end, and writes to the other."""

    __slots__ = ("_relay", "_sink", "look", "source")

    def __init__(self, relay: TransportRelay, source: IEnd, sink: IEnd) -> None:
        self._relay, self.source, self._sink = relay, source, sink
        self.look: Look = None

    def data_received(self, data: bytes) -> None:
        """See IReceiver: pass bytes through the filters, and write the rest to the other end."""
        # An end still delivers what it has read when the relay was stopped.
        if not self._relay.live:
            return
        if self.look is not None:
            try:
                data = self.look(data)
            except Refusal as cause:
                self._relay.over(cause)
                return
        if data:
            self._sink.write(data)

    def end_lost(self, cause: Refusal) -> None:
        """See IReceiver: the relay is over."""
        self._relay.over(cause)

    def pause_writing(self) -> None:
        """See IReceiver: the buffer of the source is full, so the other end is not read."""
        if self._relay.live:
            self._sink.pause_reading()

    def resume_writing(self) -> None:
        """See IReceiver: the buffer of the source has room, so the other end is read again."""
        # Also after the relay has ended: an end that stays paused would not notice that its peer leaves.
        self._sink.resume_reading()
