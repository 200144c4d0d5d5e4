"""Users and callers: the records that the authentication strategies produce."""

from dataclasses import dataclass, field

from novnc_twisted.contract.instance import Instance


@dataclass(frozen=True, slots=True)
class User:
    """A user who may log in.

    :ivar project: the user's own project; None: the user belongs to no project.
    :ivar password_hash: the bcrypt hash, which is secret.
    :ivar is_admin: whether the user is an administrator, who sees every server and may scope to any project.  A
        missing project does not make a user an administrator.
    """

    name: str
    project: str | None
    password_hash: str
    is_admin: bool = False

    def __repr__(self) -> str:
        return f"User(name={self.name!r}, project={self.project!r}, is_admin={self.is_admin!r})"

    def may_scope_to(self, project: str) -> bool:
        """Whether a log-in of this user may be scoped to ``project``."""
        return self.is_admin or self.project == project

    def caller(self, project: str | None) -> "Caller":
        """Return this user as a caller with the scope ``project``."""
        return Caller(self.name, project, self.is_admin)


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request.

    :ivar user: the user's id in Keystone; with the other strategies, the user's name.
    :ivar project: the name or the id of the project that the caller is scoped to; None: no project.
    :ivar is_admin: whether the caller is an administrator; see :class:`User`.
    :ivar reads_only: whether the caller may list servers and sessions, but see no screen and change nothing.
    :ivar by_api_token: whether the request was authenticated by an API token (:mod:`.api_tokens`), and not by the
        log-in of a person.
    :ivar name: the user's name, which pages show; if empty, they show ``user``.
    :ivar project_name: the project's name, which pages show; if empty, they show ``project``.
    """

    user: str
    project: str | None
    is_admin: bool
    reads_only: bool = False
    by_api_token: bool = False
    name: str = field(default="", compare=False)
    project_name: str = field(default="", compare=False)

    def sees(self, instance: Instance) -> bool:
        """Whether the caller sees a server.

        An administrator sees every server.  Any other caller sees the servers that belong to ``project``, which can be
        the id or the name of the server's project.  Such a caller without a project sees no server.
        """
        return self.is_admin or instance.belongs_to(self.project)
