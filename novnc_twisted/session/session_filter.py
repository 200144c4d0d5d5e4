"""Which sessions a call on the bus is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from novnc_twisted.access import fields
from novnc_twisted.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are meant: those that match every field that is set.

    :ivar session_id: the session's own id.
    :ivar server_id: the UUID of its server.
    :ivar user_id: the user who asked for its token.
    :ivar project_id: the project of that user.
    :ivar token_hash: the SHA-256 of its token, in hex.
    """

    session_id: str | None = None
    server_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    token_hash: str | None = None

    @classmethod
    def from_wire(cls, arguments: Mapping[str, Any]) -> "SessionFilter":
        """Read the filter of a call.

        :raises ServiceUnavailable: a field is unknown or invalid; the detail names it.
        """
        if arguments.keys() - cls.__slots__:
            raise ServiceUnavailable("a filter of sessions has an unknown field")
        server_id, token_hash = arguments.get("server_id"), arguments.get("token_hash")
        return cls(
            session_id=fields.optional_text("session_id", arguments.get("session_id"), 64),
            server_id=None if server_id is None else fields.uuid("server_id", server_id),
            user_id=fields.optional_text("user_id", arguments.get("user_id")),
            project_id=fields.optional_text("project_id", arguments.get("project_id")),
            token_hash=None if token_hash is None else fields.token_hash("token_hash", token_hash),
        )
