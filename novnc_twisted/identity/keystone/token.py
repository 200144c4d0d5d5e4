"""Keystone's description of a token, and the caller that follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from novnc_twisted.contract.fields import short_text
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.keystone.access_rules import AccessRule
from novnc_twisted.identity.users import Caller


@dataclass(frozen=True, slots=True)
class KeystoneToken:
    """Keystone's description of a valid token.  It does not contain the token's text.

    :ivar user: the id of the user.
    :ivar project: the id of the project for which the token was made; None if it was made without a project.
    :ivar is_system: whether the token was made for the whole system.
    :ivar roles: the names of the user's roles in this project or in the system.  They are in lower case, because
        Keystone does not distinguish case.
    :ivar admin_project: whether an administrator of this project is an administrator of the whole cloud.  If Keystone's
        option ``admin_project_name`` is set, this is True only for the project that the option names.
    :ivar expires_at: Unix time in seconds.
    :ivar access_rules: the only requests that are allowed; None: all requests are allowed.
    :ivar user_name: the user's name, for pages.
    :ivar project_name: the project's name, for pages.
    """

    user: str
    project: str | None
    is_system: bool
    roles: frozenset[str]
    admin_project: bool
    expires_at: float
    access_rules: tuple[AccessRule, ...] | None
    user_name: str = ""
    project_name: str = ""

    @classmethod
    def read(cls, body: Any) -> Self:
        """Read the body of Keystone's answer to ``GET`` or ``POST /v3/auth/tokens``.

        :raises ValueError: the body is not such an answer.
        """
        token = _object(body, "token")
        project, system, credential = token.get("project"), token.get("system"), token.get("application_credential")
        rules = _object(token, "application_credential").get("access_rules") if credential is not None else None
        if rules is not None and not isinstance(rules, list):
            raise ValueError("access_rules is not a list")
        return cls(
            user=short_text(_object(token, "user").get("id")),
            project=None if project is None else short_text(_object(token, "project").get("id")),
            is_system=isinstance(system, dict) and system.get("all") is True,
            roles=frozenset(_roles(token.get("roles", []))),
            admin_project=token.get("is_admin_project") is not False,
            expires_at=_time(token.get("expires_at")),
            access_rules=None if rules is None else tuple(AccessRule.read(rule) for rule in rules),
            user_name=_name(token["user"]),
            project_name=_name(project),
        )


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of Keystone's roles that give rights here, in lower case.

    :ivar admin: roles of administrators, who see and do everything.  If :attr:`KeystoneToken.admin_project` is False
        for the project, such a role gives only the rights of a member.
    :ivar member: roles of users who may use the servers of their project.
    :ivar reader: roles of users who may list the servers and sessions of their project, but see no screen and
        change nothing.
    """

    admin: frozenset[str] = frozenset({"admin"})
    member: frozenset[str] = frozenset({"member"})
    reader: frozenset[str] = frozenset({"reader"})

    @classmethod
    def of(cls, admin: Iterable[str], member: Iterable[str], reader: Iterable[str]) -> Self:
        """Make the record from names in upper or lower case."""
        return cls(*(frozenset(name.lower() for name in names) for names in (admin, member, reader)))

    def caller(self, token: KeystoneToken) -> Caller:
        """Return the caller who sends a token.

        :raises HTTPError: 403: the token gives no right here.
        """
        is_admin = bool(token.roles & self.admin)
        make = partial(Caller, name=token.user_name, project_name=token.project_name)
        if token.is_system and is_admin:
            return make(token.user, None, is_admin=True)
        if token.project is None:
            raise HTTPError(
                403, "This token is not for a project. Log in with a project, for example with OS_PROJECT_NAME."
            )
        if is_admin and token.admin_project:
            return make(token.user, token.project, is_admin=True)
        if is_admin or token.roles & self.member:
            return make(token.user, token.project, is_admin=False)
        if token.roles & self.reader:
            return make(token.user, token.project, is_admin=False, reads_only=True)
        raise HTTPError(403, "None of your roles in this project gives a right here. Ask for the role member.")


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not an object")
    return found


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    return name[:200] if isinstance(name, str) else ""


def _roles(value: Any) -> Iterable[str]:
    if not isinstance(value, list):
        raise ValueError("roles is not a list")
    for role in value:
        name = role.get("name") if isinstance(role, dict) else None
        if isinstance(name, str):
            yield name.lower()


def _time(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("expires_at is not a text")
    when = datetime.fromisoformat(value)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
