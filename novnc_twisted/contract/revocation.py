"""The answer to ``revoke`` and ``set_mode``."""

from typing import Annotated, Any

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record


def _topics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list of topics")
    return tuple(map(fields.short_text, value))


@record
class Revocation(Record):
    """The result of a change of tokens and sessions.

    :ivar tokens: the number of valid tokens that were revoked.
    :ivar sessions: the number of sessions that were ended or changed.
    :ivar unanswered: the topics of the proxies that did not answer.  Until a proxy answers, its sessions may go on as
        before: they are neither ended nor changed.
    """

    tokens: Annotated[int, fields.count] = 0
    sessions: Annotated[int, fields.count] = 0
    unanswered: Annotated[tuple[str, ...], _topics] = ()
