"""The relay: copies bytes between the viewer and the VNC server."""

from collections.abc import Callable, Sequence

from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.relay import detached_join
from novnc_twisted.relay.filters import FilteredRelay, FilterFunction
from novnc_twisted.relay.interfaces import IEnd, IFilter, IReceiver, IRelay
from novnc_twisted.relay.stream_end import StreamEnd


def join(client: IEnd, upstream: IEnd, filters: Sequence[IFilter] = (), *, detached: bool = True) -> IRelay:
    """Make a relay between two ends.  Its ``start`` begins to copy bytes.

    While the write buffer of one end is full, the relay does not read from the other end.  So at most two full buffers
    are in memory, one for each end.  The relay does not close the ends: the caller of this function must close them.

    :param filters: the filters between the ends, in order from the viewer to the VNC server.
    :param detached: use the detached relay (the fast engine) if both ends and the reactor permit it.
    """
    if detached and isinstance(client, StreamEnd) and isinstance(upstream, StreamEnd):
        relay = detached_join(client, upstream, filters)
        if relay is not None:
            return relay
    return TransportRelay(client, upstream, filters)


@implementer(IRelay)
class TransportRelay(FilteredRelay):
    """The relay on Twisted's transports.  It is used if the detached relay is not possible, for example with TLS."""

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
            # A detached relay that used these ends before has left them paused.  A paused end does not notice that its
            # peer disconnects.  Resume both ends before attach() is called: attach() may end the session at once, and
            # the other end would then stay paused.
            direction.source.resume_reading()
        for direction in directions:
            if self.live:
                direction.source.attach(direction)

    def stop(self) -> None:
        """See IRelay."""
        self.live = False

    @property
    def _from_client(self) -> FilterFunction:
        return self._client.filter

    def _use(self, from_client: FilterFunction, from_upstream: FilterFunction) -> None:
        self._client.filter, self._upstream.filter = from_client, from_upstream


@implementer(IReceiver)
class _Direction:
    """One direction of the relay: reads from ``source``, and writes to ``_sink``."""

    __slots__ = ("_relay", "_sink", "filter", "source")

    def __init__(self, relay: TransportRelay, source: IEnd, sink: IEnd) -> None:
        self._relay, self.source, self._sink = relay, source, sink
        self.filter: FilterFunction = None

    def data_received(self, data: bytes) -> None:
        """See IReceiver: pass bytes through the filters, and write the result to the other end."""
        # After stop(), an end may still deliver bytes that it had already read.
        if not self._relay.live:
            return
        if self.filter is not None:
            try:
                data = self.filter(data)
            except Refusal as cause:
                self._relay.over(cause)
                return
        if data:
            self._sink.write(data)

    def end_lost(self, cause: Refusal) -> None:
        """See IReceiver: end the relay."""
        self._relay.over(cause)

    def pause_writing(self) -> None:
        """See IReceiver: the peer of ``source`` reads slowly, so the write buffer of ``source`` is full.

        The bytes for this peer come from the other end (``_sink``).  So stop reading there.
        """
        if self._relay.live:
            self._sink.pause_reading()

    def resume_writing(self) -> None:
        """See IReceiver: the write buffer of ``source`` has room again; resume reading from ``_sink``."""
        # Resume even after the relay has ended: a paused end does not notice that its peer disconnects.
        self._sink.resume_reading()
