"""A session in the detached relay: two halves that begin and end together."""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.engine import Engine, engine_of
from novnc_twisted.relay.detached.side import Look, StreamSide
from novnc_twisted.relay.detached.websocket_side import WebSocketSide
from novnc_twisted.relay.interfaces import IFilter

if TYPE_CHECKING:
    from novnc_twisted.relay.stream_end import StreamEnd


def detached_join(
    client: "StreamEnd", upstream: "StreamEnd", filter: IFilter | None = None
) -> Deferred[Refusal] | None:
    """Join two ends as :func:`novnc_twisted.relay.join.join` does, or None where one can't leave its transport."""
    if not (client.can_leave() and upstream.can_leave()):
        return None
    engine = engine_of(client.clock)
    return None if engine is None else DetachedRelay(engine, client, upstream, filter).start()


class DetachedRelay:
    """A session's two halves.

    :ivar live: whether it goes on.
    """

    __slots__ = ("_cause", "_engine", "client", "live", "upstream")

    def __init__(self, engine: Engine, client: "StreamEnd", upstream: "StreamEnd", filter: IFilter | None) -> None:
        self.live = True
        self._engine = engine
        self._cause: Deferred[Refusal] = Deferred(self._cancelled)
        self.client = self._side(client, getattr(filter, "from_client", None))
        self.upstream = self._side(upstream, getattr(filter, "from_upstream", None))
        self.client.other, self.upstream.other = self.upstream, self.client

    def _side(self, end: "StreamEnd", look: Look) -> StreamSide:
        kind = StreamSide if end.frames is None else WebSocketSide
        return kind(self._engine, self, end, look)

    def start(self) -> Deferred[Refusal]:
        """Watch both; what the ends held goes first."""
        sides = self.upstream, self.client
        for side in sides:
            self._engine.add(side)
        for side in sides:
            if self.live:
                side.end.attach(side)  # type: ignore[arg-type]  # it is one, without the price of saying so
        return self._cause

    def over(self, cause: Refusal) -> None:
        """Once."""
        if self.live:
            self.stop()
            self._cause.callback(cause)

    def stop(self) -> None:
        """Both sockets go back."""
        if self.live:
            self.live = False
            self.client.stop()
            self.upstream.stop()

    def _cancelled(self, _: Deferred[Refusal]) -> None:
        self.stop()
