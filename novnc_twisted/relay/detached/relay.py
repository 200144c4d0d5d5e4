"""A session in the detached relay: two sides that begin and end together."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.engine import Engine, engine_of
from novnc_twisted.relay.detached.side import StreamSide
from novnc_twisted.relay.detached.websocket_side import WebSocketSide
from novnc_twisted.relay.filters import FilteredRelay, FilterFunction
from novnc_twisted.relay.interfaces import IFilter, IRelay

if TYPE_CHECKING:
    from novnc_twisted.relay.stream_end import StreamEnd


def detached_join(
    client: "StreamEnd", upstream: "StreamEnd", filters: Sequence[IFilter] = ()
) -> "DetachedRelay | None":
    """Join two ends as :func:`novnc_twisted.relay.join.join` does.

    :return: None if a socket cannot leave its transport, or if there is no engine for this reactor (:mod:`.engine`),
        for example because the platform has no epoll.
    """
    if not (client.can_leave() and upstream.can_leave()):
        return None
    engine = engine_of(client.clock)
    return None if engine is None else DetachedRelay(engine, client, upstream, filters)


@implementer(IRelay)
class DetachedRelay(FilteredRelay):
    """A relay whose sockets have left their transports.

    :ivar client: the viewer's side.
    :ivar upstream: the VNC server's side.
    """

    __slots__ = ("_engine", "client", "upstream")

    def __init__(
        self, engine: Engine, client: "StreamEnd", upstream: "StreamEnd", filters: Sequence[IFilter] = ()
    ) -> None:
        super().__init__(filters)
        self._engine = engine
        self.client, self.upstream = self._side(client), self._side(upstream)
        self.client.other, self.upstream.other = self.upstream, self.client
        self._install()

    def _side(self, end: "StreamEnd") -> StreamSide:
        kind = StreamSide if end.frames is None else WebSocketSide
        return kind(self._engine, self, end)

    def start(self, ended: Callable[[Refusal], None]) -> None:
        """See IRelay."""
        self._ended = ended
        sides = self.upstream, self.client
        for side in sides:
            # Watch both sockets before attach(), which may end the session at once.  In this case, stop() removes both
            # sockets, and adding one later would be wrong.
            self._engine.add(side)
        for side in sides:
            if self.live:  # the held bytes of the first end may have ended the session
                side.end.attach(side)  # type: ignore[arg-type]  # it has IReceiver's methods, without declaring it

    def stop(self) -> None:
        """See IRelay: both sockets return to transports."""
        if self.live:
            self.live = False
            self.client.stop()
            self.upstream.stop()

    @property
    def _from_client(self) -> FilterFunction:
        return self.client.filter

    def _use(self, from_client: FilterFunction, from_upstream: FilterFunction) -> None:
        self.client.filter, self.upstream.filter = from_client, from_upstream
