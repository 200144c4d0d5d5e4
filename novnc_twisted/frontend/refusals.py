"""Finds the causes of refused request heads, and makes events from what the connection limits report."""

from novnc_twisted.access.connection_limits import LimitObserver
from novnc_twisted.errors import MessageTooBig, Refusal, SetupTimeout
from novnc_twisted.events.records import Observer
from novnc_twisted.events.refused import RefusalCause, RequestRefused


def cause_of(refusal: Refusal) -> RefusalCause:
    """Return the cause to report for a refused request head: too long, too late, or malformed."""
    if isinstance(refusal, MessageTooBig):
        return "HeadTooBig"
    return "HeadTimeout" if isinstance(refusal, SetupTimeout) else "BadRequest"


def limits_observer(service: str, observer: Observer, option: str = "") -> LimitObserver:
    """Return an observer of :class:`.ConnectionLimits` that passes each report on to ``observer`` as an event.

    :param option: the option to change if the limit is too low, and how to change it; empty: there is no option.
    """

    def observe(address: str, why: str) -> None:
        event = RequestRefused(
            service=service, cause="TooManyConnections", address=address, detail=why, option=option, severe=True
        )
        observer(event)

    return observe
