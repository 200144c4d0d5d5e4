"""A context manager that reports a caller's operation on a server as an event, even if the operation fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.events.records import Event, Observer
from novnc_twisted.identity.users import Caller


@contextmanager
def reported(
    observer: Observer, kind: Callable[..., Event], caller: Caller, address: str, instance: Instance
) -> Iterator[dict[str, Any]]:
    """Call the observer with an event when the block ends.

    :param kind: makes the event.
    :param address: the client's address.
    :return: a dictionary, in which the block sets the fields of the event that the arguments do not give.  Unless the
        block raises an error, it must set ``cause``; an empty ``cause`` means success.  If the block raises a Refusal,
        ``cause`` is the name of the refusal.
    """
    # The event has this cause if the block ends with an error that is not a Refusal, for example with CancelledError
    # because the client has left before the host answered.
    fields: dict[str, Any] = {"cause": ServiceUnavailable.__name__}
    try:
        yield fields
    except Refusal as refusal:
        fields["cause"] = type(refusal).__name__
        raise
    finally:
        event = kind(
            **fields,
            address=address,
            user_id=caller.user,
            project_id=caller.project or "",
            instance_uuid=instance.uuid,
            instance_name=instance.name,
        )
        observer(event)
