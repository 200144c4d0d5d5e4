"""The answer to ``revoke`` and ``set_mode``."""

from dataclasses import dataclass
from typing import Annotated, Any

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record


def _topics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list of topics")
    return tuple(map(fields.short_text, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation(Record):
    """What became of tokens and sessions.

    :ivar tokens: how many valid tokens were revoked.
    :ivar sessions: how many sessions were ended, or changed.
    :ivar unanswered: the topics of the proxies that did not answer: their sessions may go on until they are back.
    """

    tokens: Annotated[int, fields.count] = 0
    sessions: Annotated[int, fields.count] = 0
    unanswered: Annotated[tuple[str, ...], _topics] = ()
