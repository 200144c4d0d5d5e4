"""Finds the causes of refused request heads, and makes events from what the connection limits report."""

from novnc_twisted.access.connection_limits import LimitObserver
from novnc_twisted.errors import MessageTooBig, Refusal, SetupTimeout
from novnc_twisted.events.records import Observer
from novnc_twisted.events.refused import RefusalCause, RequestRefused


def cause_of(head: Refusal) -> RefusalCause:
    """Return the cause of the event for a request head that was refused: too long, too late, or malformed."""
    if isinstance(head, MessageTooBig):
        return "HeadTooBig"
    return "HeadTimeout" if isinstance(head, SetupTimeout) else "BadRequest"


def limits_observer(service: str, observer: Observer, option: str = "") -> LimitObserver:
    """Return an observer of :class:`.ConnectionLimits` that passes events on to ``observer``.

    :param option: the option that sets the limit.
    """

    def observe(address: str, why: str) -> None:
        event = RequestRefused(
            service=service, cause="TooManyConnections", address=address, detail=why, option=option, severe=True
        )
        observer(event)

    return observe
