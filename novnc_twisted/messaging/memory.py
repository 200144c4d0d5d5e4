"""The transport for ``memory://``: every service in one process."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, execute, fail, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import broadcast
from novnc_twisted.messaging.interfaces import Answer, IKeyedStore, ITransport, Method, Service, TopicInUse
from novnc_twisted.messaging.memory_store import MemoryStore
from novnc_twisted.messaging.wire import (
    MAX_CONCURRENCY,
    check_place,
    check_topic,
    decode,
    encode_object,
    outcome,
    perform,
)


@dataclass(slots=True, eq=False)
class _Served:
    """A server of a topic, or (if ``methods`` is None) a presence entry without a server."""

    topic: str
    worker: str
    binary: str
    host: str
    info: str
    methods: Mapping[str, Method] | None
    slots: DeferredSemaphore
    place: str


class _Call:
    """One call: its result, its deadline, and the method that runs for it.

    :param pending: the calls that have not ended.  This call adds itself, and removes itself when it ends.
    """

    def __init__(self, clock: IReactorTime, served: _Served, deadline: float, pending: "dict[_Call, None]") -> None:
        self.result: Deferred[Any] = Deferred(lambda _: self._end())
        self.served = served
        self._pending = pending
        self._work: Deferred[None] | None = None
        self._over = False
        self._timer = clock.callLater(deadline, self.fail, f"{served.topic} did not answer within {deadline:.3g} s")
        pending[self] = None

    def run(self, method: str, request: str) -> None:
        """Run the method."""
        # fromCoroutine() runs the method up to its first wait.  If the method stops the transport or its own topic
        # before that wait, the call ends before _work is set, and the method is not cancelled.  So cancel it here.  If
        # the method has already ended, its Deferred has fired, and this second _end() changes nothing.
        self._work = Deferred.fromCoroutine(self._run(method, request))
        if self._over:
            self._end()

    async def _run(self, method: str, request: str) -> None:
        served = self.served
        try:
            await served.slots.acquire()
            try:
                reply = await perform(served.topic, served.methods or {}, method, decode(request))
            finally:
                # A cancelled method must also free its slot.
                served.slots.release()
        except CancelledError:
            # Either this call has ended, or something for which the method waited was cancelled.
            self._work = None
            self.fail(f"{served.topic} gave up")
            return
        self._work = None
        if self._over:
            return
        # End the call before its result is passed on: the callbacks may call again, or stop the transport.
        self._end()
        try:
            result = outcome(reply)
        except Refusal as refusal:
            self.result.errback(refusal)
        else:
            self.result.callback(result)

    def fail(self, detail: str) -> None:
        """Fail the call with ServiceUnavailable, and cancel the method."""
        if not self._over:
            self._end()
            self.result.errback(ServiceUnavailable(detail))

    def _end(self) -> None:
        self._over = True
        self._pending.pop(self, None)
        if self._timer.active():
            self._timer.cancel()
        work, self._work = self._work, None
        if work is not None:
            work.cancel()


@implementer(ITransport)
class MemoryTransport:
    """A transport between the services of one process.

    Arguments and results are converted to JSON and back, as on Redis.

    A method begins to run before ``call`` returns, unless its server already runs MAX_CONCURRENCY calls.  When the
    method ends, the Deferred of the call fires at once.  So tests advance a ``task.Clock`` only to reach a deadline.

    :param reactor: IReactorTime.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._clock = reactor
        self._started = False
        self._served: list[_Served] = []
        self._workers = count(1)
        self._turns: dict[str, int] = {}  # topic -> the position of the server that got the last call
        self._calls: dict[_Call, None] = {}
        self.store: IKeyedStore = MemoryStore(reactor)

    def start(self) -> Deferred[None]:
        """See ITransport."""
        self._started = True
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See ITransport."""
        self._started = False
        self._served.clear()
        self._turns.clear()
        while self._calls:
            # Take one call at a time: its callbacks may end other calls.  Each call that ends removes itself.
            next(iter(self._calls)).fail("the transport was stopped")
        return succeed(None)

    def ping(self, topic: str = "", *, deadline: float = 2.0) -> Deferred[None]:
        """See ITransport."""
        if not self._started:
            return fail(ServiceUnavailable("the transport is not started"))
        if topic and not self._servers(topic):
            return fail(ServiceUnavailable(f"nobody serves {topic}"))
        return succeed(None)

    def call(self, topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """See ITransport; also fails with the TypeError or ValueError of :func:`.encode_object`."""
        try:
            request = encode_object(arguments)
        except (TypeError, ValueError):
            return fail()
        if not self._started:
            return fail(ServiceUnavailable("the transport is not started"))
        # callLater refuses a negative time, and a caller may have used up its own deadline.
        if deadline <= 0:
            return fail(ServiceUnavailable(f"no time is left to call {topic}"))
        servers = self._servers(topic)
        if not servers:
            return fail(ServiceUnavailable(f"nobody serves {topic}"))
        turn = self._turns[topic] = (self._turns.get(topic, -1) + 1) % len(servers)
        call = _Call(self._clock, servers[turn], deadline, self._calls)
        call.run(method, request)
        return call.result

    def broadcast(
        self, prefix: str, method: str, /, *, deadline: float = 5.0, **arguments: Any
    ) -> Deferred[list[Answer]]:
        """See ITransport."""
        return Deferred.fromCoroutine(broadcast(self, self._clock, prefix, method, deadline, arguments))

    def serve(
        self,
        topic: str,
        methods: Mapping[str, Method],
        *,
        binary: str,
        host: str,
        info: Mapping[str, Any] | None = None,
        callers: Mapping[str, Collection[str]] | None = None,
        place: str = "",
        exclusive: bool = False,
        returns_within: float = 0.0,
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport.  ``callers`` and ``returns_within`` have no effect.

        ``callers``, because the services of one process may call all methods of each other.  ``returns_within``,
        because all of them are restarted together.
        """
        if exclusive and self._servers(topic):
            return fail(TopicInUse(f"{binary} on {host}: this process serves {topic} already"))
        return execute(self._add, topic, dict(methods), binary, host, info, place)

    def announce(
        self, topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport."""
        return execute(self._add, topic, None, binary, host, info)

    def services(self, prefix: str = "") -> Deferred[list[Service]]:
        """See ITransport."""
        if not self._started:
            return fail(ServiceUnavailable("the transport is not started"))
        now = time.time()
        found = [
            Service(served.topic, served.worker, served.binary, served.host, now, decode(served.info), served.place)
            for served in self._served
            if served.topic.startswith(prefix)
        ]
        return succeed(sorted(found, key=lambda service: (service.topic, service.worker)))

    def _servers(self, topic: str) -> list[_Served]:
        return [served for served in self._served if served.topic == topic and served.methods is not None]

    def _add(
        self,
        topic: str,
        methods: Mapping[str, Method] | None,
        binary: str,
        host: str,
        info: Mapping[str, Any] | None,
        place: str = "",
    ) -> Callable[[], Deferred[None]]:
        served = _Served(
            check_topic(topic),
            f"{next(self._workers):06}",
            binary,
            host,
            encode_object(info or {}),
            methods,
            DeferredSemaphore(MAX_CONCURRENCY),
            check_place(place),
        )
        self._served.append(served)

        def stop() -> Deferred[None]:
            if served in self._served:
                self._served.remove(served)
            for call in [call for call in self._calls if call.served is served]:
                call.fail(f"{topic} was stopped")
            return succeed(None)

        return stop
