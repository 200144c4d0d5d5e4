"""The filter of ``get_sessions``, ``end_sessions`` and similar methods."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, read, record
from novnc_twisted.errors import ServiceUnavailable


@record
class SessionFilter(Record):
    """Selects the sessions that match all fields that are set; without any field, all sessions.

    :ivar session_id: the id of the session.
    :ivar server_id: the UUID of its server.
    :ivar user_id: the user who asked for its token.
    :ivar project_id: the project in which that user asked for the token.
    :ivar owner: the id or the name of the project that its server belongs to.
    :ivar client_network: the IPv4 address or the IPv6 /64 of its viewer (``access.failures.network_of``).
    :ivar token_hash: the SHA-256 of its token, in hexadecimal digits.
    :ivar made_until: Unix time in seconds.  A session whose token was made later does not match.  A session with a
        token of unknown age matches, so that a revocation does not miss it.
    :ivar link_id: identifies its token, but reveals neither the token nor the token's hash; see
        :func:`novnc_twisted.access.tokens.link_id`.
    """

    session_id: Annotated[str | None, fields.short_text] = None
    server_id: Annotated[str | None, fields.uuid] = None
    user_id: Annotated[str | None, fields.text] = None
    project_id: Annotated[str | None, fields.text] = None
    owner: Annotated[str | None, fields.text] = None
    client_network: Annotated[str | None, fields.short_text] = None
    token_hash: Annotated[str | None, fields.token_hash] = None
    made_until: Annotated[float | None, fields.number] = None
    link_id: Annotated[str | None, fields.link_id] = None

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Read the filter of a call.

        :raises ServiceUnavailable: a field is unknown or invalid; the detail names this field.
        """
        # Without this check, a misspelled field would be ignored, and too many sessions would match.
        if unknown := arguments.keys() - cls.__slots__:
            raise ServiceUnavailable(f"a filter of sessions has an unknown field: {min(unknown)}")
        return read(cls, dict(arguments), "the caller")
