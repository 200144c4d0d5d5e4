"""The filter of ``get_history``."""

from typing import Annotated

from novnc_twisted.contract import fields
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.record import Record, record


@record
class HistoryQuery(Record):
    """Selects the sessions that match all fields that are set.

    :ivar server_id: the UUID of the server.
    :ivar user_id: the user who asked for the token.
    :ivar project_id: the project in which that user asked for the token.
    :ivar owner: the id or the name of the project that the server belonged to.
    :ivar proxy: the ``host`` option of the proxy.
    :ivar since: Unix time in seconds; sessions that ended earlier are left out.
    :ivar until: Unix time in seconds; sessions that ended later are left out.
    """

    server_id: Annotated[str | None, fields.uuid] = None
    user_id: Annotated[str | None, fields.text] = None
    project_id: Annotated[str | None, fields.text] = None
    owner: Annotated[str | None, fields.text] = None
    proxy: Annotated[str | None, fields.short_text] = None
    since: Annotated[float | None, fields.number] = None
    until: Annotated[float | None, fields.number] = None

    def matches(self, ended: EndedSession) -> bool:
        """Return whether an ended session matches."""
        session = ended.session
        return (
            self.server_id in (None, session.server_id)
            and self.user_id in (None, session.user_id)
            and self.project_id in (None, session.project_id)
            and self.proxy in (None, session.proxy)
            and (self.owner is None or self.owner in (session.owners or ()))
            and (self.since is None or ended.ended_at >= self.since)
            and (self.until is None or ended.ended_at <= self.until)
        )
