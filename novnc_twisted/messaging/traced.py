"""A transport that logs every call: side, topic, method, duration, and "answered" or the error.

Arguments and return values are not logged.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.errors import Refusal
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.observed import ObservedTransport


class TracedTransport(ObservedTransport):
    """Wraps a transport, and logs its calls at level debug on both sides: the caller's and the server's.

    :param transport: the wrapped transport.
    :param clock: measures how long a call takes.
    """

    log = Logger()

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        super().__init__(transport, clock, self._log_call)

    def _log_call(self, side: str, topic: str, method: str, seconds: float, error: BaseException | None) -> None:
        if error is None:
            outcome = "answered"
        else:
            outcome = str(error) if isinstance(error, Refusal) else type(error).__name__
        self.log.debug(
            "{side} {topic} {method}: {outcome} after {milliseconds:.1f} ms",
            side=side,
            topic=topic,
            method=method,
            outcome=outcome,
            milliseconds=1000 * seconds,
        )
