"""The answer of consoleauth to ``revoke`` and ``set_mode``."""

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

    :ivar tokens: the number of valid tokens that were revoked; 0 for ``set_mode``.
    :ivar sessions: the number of sessions that were ended or changed; for ``set_mode``, without the sessions of guests
        to whom a viewer shared the token.
    :ivar unanswered: the topics of the proxies that did not answer.  Their sessions may go on as before.
        consoleauth repeats the change for two minutes.  After that, a session is ended or changed when its proxy renews
        the lease of its token.
    """

    tokens: Annotated[int, fields.count] = 0
    sessions: Annotated[int, fields.count] = 0
    unanswered: Annotated[tuple[str, ...], _topics] = ()
