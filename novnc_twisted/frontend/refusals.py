"""Events about refused requests, made from what the parts below the proxies know."""

from novnc_twisted.access.connection_limits import LimitObserver
from novnc_twisted.errors import MessageTooBig, Refusal, SetupTimeout
from novnc_twisted.events.records import Observer, RefusalCause, RequestRefused


def cause_of(head: Refusal) -> RefusalCause:
    """The cause for a request head that was refused: too long, too slow, or malformed."""
    if isinstance(head, MessageTooBig):
        return "HeadTooBig"
    return "HeadTimeout" if isinstance(head, SetupTimeout) else "BadRequest"


def limits_observer(service: str, observer: Observer, option: str = "") -> LimitObserver:
    """An observer of :class:`~novnc_twisted.access.connection_limits.ConnectionLimits` that reports to ``observer``.

    :param option: the option that sets the limit.
    """

    def observe(address: str, why: str) -> None:
        event = RequestRefused(
            service=service, cause="TooManyConnections", address=address, detail=why, option=option, severe=True
        )
        observer(event)

    return observe
