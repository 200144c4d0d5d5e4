"""A transport that logs every call: topic, method, time and outcome, never an argument or a result."""

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.fanout import broadcast
from novnc_twisted.messaging.interfaces import Answer, IKeyedStore, ITransport, Method, Service


@implementer(ITransport)
class TracedTransport:
    """Wrap a transport and log its calls at level debug, both where they are made and where they are served.

    :param transport: the wrapped transport.
    :param clock: measures how long a call takes.
    """

    log = Logger()

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        self.store: IKeyedStore = transport.store

    def start(self) -> Deferred[None]:
        """See ITransport."""
        return self._transport.start()

    def stop(self) -> Deferred[None]:
        """See ITransport."""
        return self._transport.stop()

    def call(self, topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """See ITransport."""
        began = self._clock.seconds()

        def over(result: Any) -> Any:
            self._log_call("called", topic, method, began, result.value if isinstance(result, Failure) else None)
            return result

        return self._transport.call(topic, method, deadline=deadline, **arguments).addBoth(over)

    def broadcast(
        self, prefix: str, method: str, /, *, deadline: float = 5.0, **arguments: Any
    ) -> Deferred[list[Answer]]:
        """See ITransport; each call of it is logged."""
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
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport."""
        traced = {name: self._traced(topic, name, method) for name, method in methods.items()}
        return self._transport.serve(
            topic, traced, binary=binary, host=host, info=info, callers=callers, place=place, exclusive=exclusive
        )

    def announce(
        self, topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport."""
        return self._transport.announce(topic, binary=binary, host=host, info=info)

    def services(self, prefix: str = "") -> Deferred[list[Service]]:
        """See ITransport."""
        return self._transport.services(prefix)

    def _traced(self, topic: str, name: str, method: Method) -> Method:
        @wraps(method)
        async def traced(**arguments: Any) -> Any:
            began = self._clock.seconds()
            try:
                result = await method(**arguments)
            except Exception as error:
                self._log_call("served", topic, name, began, error)
                raise
            self._log_call("served", topic, name, began, None)
            return result

        return traced

    def _log_call(self, what: str, topic: str, method: str, began: float, error: BaseException | None) -> None:
        outcome = "answered" if error is None else str(error) if isinstance(error, Refusal) else type(error).__name__
        self.log.debug(
            "{what} {topic} {method}: {outcome} after {milliseconds:.1f} ms",
            what=what,
            topic=topic,
            method=method,
            outcome=outcome,
            milliseconds=1000 * (self._clock.seconds() - began),
        )
