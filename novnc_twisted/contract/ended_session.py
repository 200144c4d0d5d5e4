"""The record of an ended session."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record
from novnc_twisted.contract.session_info import SessionInfo


@record
class EndedSession(Record):
    """A session that has ended, as its proxy reports it.

    :ivar session: its state at the end; ``phase`` is the last phase that it reached.
    :ivar ended_at: Unix time in seconds.
    :ivar cause: the name of the :class:`~novnc_twisted.errors.Refusal` that ended it.
    :ivar detail: further words for the log; may be empty.
    """

    session: Annotated[SessionInfo, SessionInfo.from_wire]
    ended_at: Annotated[float, fields.number]
    cause: Annotated[str, fields.short_text]
    detail: Annotated[str, fields.text] = ""
