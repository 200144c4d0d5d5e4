"""The part of a small Keystone that makes and validates tokens of users; see :mod:`tests.support.openstack`."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.handed_out import secret

DOMAIN = {"id": "default", "name": "Default"}


class Users:
    """Users who log in by a password, and their tokens.

    :ivar tokens: the body of each valid token of a user.
    :ivar compute_url: the endpoint of the Compute API in their catalogue; ``identity_url``: that of Keystone.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.compute_url = ""
        self.identity_url = ""
        self._users: dict[str, tuple[str, str, tuple[str, ...]]] = {}

    def add(self, name: str, *, project: str, roles: tuple[str, ...] = ("member", "reader")) -> str:
        """Add a user with roles in a project, whose id is that of ``project_id``; return the password."""
        password = secret(f"pw-{uuid.uuid4()}")
        self._users[name] = password, project, roles
        return password

    def log_in(self, identity: dict[str, Any]) -> str | None:
        """Return a new token for the ``identity`` of a log-in; None if the user or the password is wrong."""
        user = identity.get("password", {}).get("user", {})
        password, project, roles = self._users.get(user.get("name"), ("", "", ()))
        if not password or user.get("password") != password:
            return None
        return self.add_token(user=user["name"], project=project_id(project), project_name=project, roles=roles)

    def add_token(self, *, user: str = "alice-id", **more: Any) -> str:
        """Make a token as if its user had logged in; see :func:`token_body`."""
        token = secret("gAAAAAB" + uuid.uuid4().hex)
        body = token_body(user=user, **more)
        endpoint = {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "id": "e"}
        body["token"]["catalog"] = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [{**endpoint, "url": url}]}
            for kind, url in (("compute", self.compute_url), ("identity", self.identity_url))
        ]
        self.tokens[token] = body
        return token


def project_id(name: str) -> str:
    """The id of a project of the default domain."""
    return uuid.uuid5(uuid.NAMESPACE_DNS, name).hex


def token_body(
    *,
    user: str = "alice-id",
    project: str | None = "red-id",
    project_name: str = "red",
    roles: tuple[str, ...] = ("member", "reader"),
    expires_at: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Keystone's response about a token.

    :param expires_at: Unix time in seconds; default: in an hour.
    """
    now = datetime.now(UTC)
    expires = now + timedelta(hours=1) if expires_at is None else datetime.fromtimestamp(expires_at, UTC)
    token: dict[str, Any] = {
        "methods": ["password"],
        "user": {"id": user, "name": user, "domain": DOMAIN, "password_expires_at": None},
        "audit_ids": ["x"],
        "roles": [{"id": f"{role}-id", "name": role} for role in roles],
        "issued_at": now.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        **more,
    }
    if project is not None:
        token["project"] = {"id": project, "name": project_name, "domain": DOMAIN}
    return {"token": token}
