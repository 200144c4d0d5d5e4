"""The body of a log-in at the Identity v3 API: Keystone's ``auth`` object with a password and a scope."""

from dataclasses import dataclass, field
from typing import Any, Final, Self

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.users import User

DOMAIN: Final = {"id": "default", "name": "Default"}
"""The only domain; it contains all users and projects."""


class ScopeRefused(Exception):
    """The user may not log in for this scope."""


@dataclass(frozen=True, slots=True)
class LogInRequest:
    """The user who logs in, and the project.

    :ivar scope: the unchanged ``scope`` of the request; None if it has no scope.
    """

    name: str
    password: str = field(repr=False)
    scope: Any = None

    @classmethod
    def read(cls, body: Any) -> Self | None:
        """Read the body of a request.

        :return: None if the methods are not exactly ``password``, if the name or the password is missing, or if the
            user is of another domain.
        :raises HTTPError: 400: the body is not an ``auth`` object of Keystone.
        """
        auth = _object(body, "auth")
        identity = _object(auth, "identity")
        # Exactly this list: with a second method (totp), a password alone must not be enough.
        if identity.get("methods") != ["password"]:
            return None
        user = _object(_object(identity, "password"), "user")
        name, password = user.get("name", user.get("id")), user.get("password")
        if not isinstance(name, str) or not isinstance(password, str) or not _is_default(user.get("domain", DOMAIN)):
            return None
        return cls(name, password, auth.get("scope"))

    def project_for(self, user: User) -> str | None:
        """Return the project for which ``user`` logs in.

        Without a scope, this is the user's own project.  The scope ``unscoped`` has the same effect here, although it
        means "no project" in Keystone.

        :return: the project; None: the log-in is for no project.  Either the user's own project is wanted and the user
            has none, or an administrator asked for ``{"scope": {"system": ...}}``.
        :raises ScopeRefused: the user may not have this scope.
        """
        scope = self.scope
        if scope is None or scope == "unscoped":
            return user.project
        if not isinstance(scope, dict):
            raise ScopeRefused
        project = scope.get("project")
        if not isinstance(project, dict):
            if user.is_admin and "system" in scope:
                return None
            raise ScopeRefused
        name = project.get("name", project.get("id"))
        if not isinstance(name, str) or not name or not _is_default(project.get("domain", DOMAIN)):
            raise ScopeRefused
        if not user.may_scope_to(name):
            raise ScopeRefused
        return name


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise HTTPError(400, f"Expecting to find {name} in the request body.")
    return found


def _is_default(domain: Any) -> bool:
    if not isinstance(domain, dict):
        return False
    return domain.get("id") == DOMAIN["id"] or str(domain.get("name")).lower() == "default"
