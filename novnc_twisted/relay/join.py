"""The relay: two ends made into one pipe."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.detached.relay import detached_join
from novnc_twisted.relay.interfaces import IEnd, IFilter, IReceiver
from novnc_twisted.relay.stream_end import StreamEnd


def join(client: IEnd, upstream: IEnd, filter: IFilter | None = None, *, detached: bool = True) -> Deferred[Refusal]:
    """Let the bytes of each end flow to the other until one of them is lost.

    Back-pressure goes both ways: an end whose buffer is full stops the reading of the other, so that what is held is
    bounded by two buffers whatever a peer does.  The ends are left open: closing them is the caller's.

    :param filter: a policy between the two; without one, or where it has no such method, the bytes are not looked at.
    :param detached: let the sockets leave their transports where both can.
    :return: fires with the cause (the Refusal of the end that was lost, or that the filter raised).  Cancelling it
        stops the flow.
    """
    if detached and isinstance(client, StreamEnd) and isinstance(upstream, StreamEnd):
        joined = detached_join(client, upstream, filter)
        if joined is not None:
            return joined
    return _Relay(client, upstream, filter).start()


class _Relay:
    """What the two directions share: that they end together."""

    def __init__(self, client: IEnd, upstream: IEnd, filter: IFilter | None) -> None:
        self.live = True
        self._cause: Deferred[Refusal] = Deferred(self._cancelled)
        self._client, self._upstream, self._filter = client, upstream, filter

    def start(self) -> Deferred[Refusal]:
        from_client = _Flow(self, self._client, self._upstream)
        from_upstream = _Flow(self, self._upstream, self._client)
        if self._filter is not None:
            from_client.look = getattr(self._filter, "from_client", None)
            from_upstream.look = getattr(self._filter, "from_upstream", None)
        self._upstream.attach(from_upstream)
        if self.live:
            self._client.attach(from_client)
        return self._cause

    def end(self, cause: Refusal) -> None:
        if self.live:
            self.live = False
            self._cause.callback(cause)

    def _cancelled(self, _: Deferred[Refusal]) -> None:
        self.live = False


@implementer(IReceiver)
class _Flow:
    """Hears one end and feeds the other."""

    __slots__ = ("_relay", "_sink", "_source", "look")

    def __init__(self, relay: _Relay, source: IEnd, sink: IEnd) -> None:
        self._relay, self._source, self._sink = relay, source, sink
        self.look: Callable[[bytes], bytes] | None = None

    def data_received(self, data: bytes) -> None:
        if not self._relay.live:
            return
        if self.look is not None:
            try:
                data = self.look(data)
            except Refusal as cause:
                self._relay.end(cause)
                return
        if data:
            self._sink.write(data)

    def end_lost(self, cause: Refusal) -> None:
        self._relay.end(cause)

    def pause_writing(self) -> None:
        if self._relay.live:
            self._sink.pause_reading()

    def resume_writing(self) -> None:
        self._sink.resume_reading()
