"""A transport that reports each call: side (caller or server), topic, method, duration, and error if any.

Arguments and results are not reported.
"""

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.messaging.fanout import broadcast
from novnc_twisted.messaging.interfaces import Answer, IKeyedStore, ITransport, Method, Service

CALLED = "called"
SERVED = "served"

Report: TypeAlias = Callable[[str, str, str, float, BaseException | None], None]
"""Called with the side (:data:`CALLED` or :data:`SERVED`), topic, method, duration in seconds, and error or None."""


@implementer(ITransport)
class ObservedTransport:
    """Wraps a transport, and reports the calls that this process makes and the calls that it serves.

    :param transport: the wrapped transport.
    :param clock: measures how long a call takes.
    :param report: called at the end of each call; must not raise.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime, report: Report) -> None:
        self._transport = transport
        self._clock = clock
        self._report = report
        self.store: IKeyedStore = transport.store

    def start(self) -> Deferred[None]:
        """See ITransport."""
        return self._transport.start()

    def stop(self) -> Deferred[None]:
        """See ITransport."""
        return self._transport.stop()

    def ping(self, topic: str = "", *, deadline: float = 2.0) -> Deferred[None]:
        """See ITransport; not reported, since no service is called."""
        return self._transport.ping(topic, deadline=deadline)

    def call(self, topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """See ITransport."""
        began = self._clock.seconds()

        def over(result: Any) -> Any:
            self._over(CALLED, topic, method, began, result.value if isinstance(result, Failure) else None)
            return result

        return self._transport.call(topic, method, deadline=deadline, **arguments).addBoth(over)

    def broadcast(
        self, prefix: str, method: str, /, *, deadline: float = 5.0, **arguments: Any
    ) -> Deferred[list[Answer]]:
        """See ITransport; the call to each topic is reported."""
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
        """See ITransport."""
        observed = {name: self._observed(topic, name, method) for name, method in methods.items()}
        return self._transport.serve(
            topic,
            observed,
            binary=binary,
            host=host,
            info=info,
            callers=callers,
            place=place,
            exclusive=exclusive,
            returns_within=returns_within,
        )

    def announce(
        self, topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport."""
        return self._transport.announce(topic, binary=binary, host=host, info=info)

    def services(self, prefix: str = "") -> Deferred[list[Service]]:
        """See ITransport."""
        return self._transport.services(prefix)

    def _observed(self, topic: str, name: str, method: Method) -> Method:
        @wraps(method)
        async def observed(**arguments: Any) -> Any:
            began = self._clock.seconds()
            try:
                result = await method(**arguments)
            except Exception as error:
                self._over(SERVED, topic, name, began, error)
                raise
            self._over(SERVED, topic, name, began, None)
            return result

        return observed

    def _over(self, side: str, topic: str, method: str, began: float, error: BaseException | None) -> None:
        self._report(side, topic, method, self._clock.seconds() - began, error)
