"""Log-ins of browsers: a secret in a cookie that scripts cannot read and other sites cannot use.

If a request relies on the cookie and changes something, it needs the ``Origin`` of this server (RFC 6454), so that
pages of other sites cannot make such requests.  The cookie has ``SameSite=Lax``: with ``Strict``, users who follow a
link in a mail would have to log in again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, Self

from novnc_twisted.access.origin import read_origin
from novnc_twisted.contract import fields
from novnc_twisted.http.errors import HTTPError, RefusalReason
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

COOKIE: Final = "novnc_login"

_MAX_SECRET: Final = 4096

MAX_FIELD: Final = 1000
"""Maximum number of characters that are read of a field of the log-in form."""

_PORTS: Final = {"http": "80", "https": "443"}


def secret_of(request: Request) -> str | None:
    """Return the value of the log-in cookie; None without this cookie.  Other and malformed cookies are ignored.

    If this server is published below a prefix, its cookie has the prefix as path.  Browsers send the cookie with the
    longest path first (RFC 6265, section 5.4).  So the first cookie of this name is this server's, even if another
    program at ``/`` of the same host uses the same name.
    """
    for line in request.headers.get("cookie", []):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and 0 < len(value) <= _MAX_SECRET:
                return value
    return None


def login_of(request: Request) -> str | None:
    """Return the value of the log-in cookie; None without this cookie, or if the request has other credentials.

    :raises HTTPError: 403: the request is for a change, and a page of another site may have made it.
    """
    # Browsers remember a password of HTTP Basic, and send it even with requests that pages of other sites make.  So
    # also check requests with an Authorization field, but only if they have an Origin.  Browsers send an Origin with
    # every request for a change; other clients of the API usually send none.
    if not request.reads and {"authorization", "origin"} <= request.headers.keys():
        refuse_foreign(request)
    secret = secret_of(request)
    if secret is None or "x-auth-token" in request.headers or "authorization" in request.headers:
        return None
    if not request.reads:
        refuse_foreign(request)
    return secret


def refuse_foreign(request: Request) -> None:
    """Check that a change is requested by a page of this server.

    :raises HTTPError: 403.
    """
    origins = request.headers.get("origin", [])
    if len(origins) != 1 or not is_own(request, origins[0]):
        reason = RefusalReason("ForeignPage")
        raise HTTPError(403, "Only pages of this server may do this.", reason=reason)


def is_own(request: Request, origin: str) -> bool:
    """Return whether an Origin is that of this server as the client sees it: scheme, host and port."""
    ours = read_origin(f"{request.scheme}://{request.host}".lower())
    theirs = read_origin(origin.strip().lower())
    if ours is None or theirs is None:
        return False
    return (ours.scheme, ours.host, ours.port or _PORTS.get(ours.scheme)) == (
        theirs.scheme,
        theirs.host,
        theirs.port or _PORTS.get(theirs.scheme),
    )


@dataclass(frozen=True, slots=True)
class LogInFields:
    """The fields of the log-in form; a missing field is empty.

    :ivar domain: the domain of the user; only Keystone has domains.
    :ivar project: the project to log in to; may be empty.  If it is empty, a user of the user file gets the project of
        the user's line in the file.  A user of Keystone gets the only project or, if there are several, chooses one on
        the next page.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    domain: str = ""
    project: str = ""

    @classmethod
    def read(cls, form: Mapping[str, str]) -> Self:
        """Read the fields of a form."""
        names = ("user", "password", "domain", "project")
        return cls(*(form.get(name, "")[:MAX_FIELD] for name in names))


class Project(NamedTuple):
    """A project to choose.

    :ivar name: the name for the page.  If two projects have the same name, the id of the domain is added.
    :ivar name_in_domain: the name without the id of the domain.
    """

    id: str
    name: str
    name_in_domain: str


class Projects(NamedTuple):
    """The projects of a user.

    :ivar current: the id of the chosen project; empty if no project was chosen yet.
    """

    projects: tuple[Project, ...]
    current: str


class NoProject(HTTPError):
    """The user has logged in, but has not chosen a project yet."""

    def __init__(self) -> None:
        super().__init__(403, "Choose a project first.")


class IBrowserLogins(Protocol):
    """Makes, reads, renews and ends log-ins.  Each method may fail with ServiceUnavailable.

    :cvar has_projects: whether users have domains, and choose among projects.
    """

    has_projects: bool

    async def log_in(self, request: Request, given: LogInFields) -> tuple[str, str]:
        """Log a user in; return the header field that sets the cookie.

        :raises HTTPError: the log-in is refused; the form shows the message.
        """
        ...

    async def caller(self, request: Request, secret: str) -> Caller | None:
        """Return the caller of a request whose cookie has the value ``secret``; None: the log-in has ended.

        :raises NoProject: a project has to be chosen first.
        :raises HTTPError: 403: the user has no rights here; 429 or 503: the rights were not checked.
        """
        ...

    def has_cookie(self, request: Request) -> bool:
        """Whether the request has a cookie of a log-in.  Does not check the cookie."""
        ...

    async def renewal(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Extend the log-in of a request if a renewal is due; return the header fields for the browser, if any."""
        ...

    async def projects(self, request: Request) -> Projects | None:
        """Return the projects of the user; None: the log-in has ended.  Only called if ``has_projects`` is true.

        :raises HTTPError: 503: Keystone gives no usable answer.
        """
        ...

    async def choose(self, request: Request, project: str) -> bool:
        """Choose a project by its id; False: the log-in has ended.  Only called if ``has_projects`` is true.

        :raises HTTPError: 403: the user has no role in this project; 503: Keystone gives no usable answer.
        """
        ...

    async def end(self, request: Request) -> tuple[str, str]:
        """End the log-in, and return the header field that removes the cookie."""
        ...

    async def user_of(self, request: Request) -> str | None:
        """Return the user of a request with a cookie, even if this user has no rights; None: the log-in has ended."""
        ...

    async def end_everywhere(self, user: str) -> None:
        """End all log-ins of the user's browsers.

        Other credentials stay valid: the API tokens that the user made for scripts, and the tokens that API clients got
        when they logged in.
        """
        ...


class LogOuts:
    """Records when users have logged out everywhere, and which single log-ins have ended.

    All times are those of the store (``IKeyedStore.now``).  The wall clocks of several API hosts differ, and a wall
    clock can be set back.  With the times of such clocks, a log-in could seem to have begun after a log-out that in
    fact came later.  Such a log-in would stay valid.
    """

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def has_ended(self, user: str, began_at: float, log_in: str = "") -> bool:
        """Return whether a user has logged out everywhere since a log-in began, or has ended this log-in.

        :param began_at: in the time of the store.
        :param log_in: the id of the log-in; empty: it has no id.
        """
        keys = [_key(user), _key_of_one(log_in)] if log_in else [_key(user)]
        everywhere, *one = await self._store.get_many(keys)
        if any(one):
            return True
        if everywhere is None:
            return False
        # If the record cannot be read, nobody knows when the user logged out, so the log-in counts as ended.
        try:
            return isinstance(everywhere, UnusableRecord) or began_at <= fields.number(everywhere.get("at"))
        except ValueError:
            return True

    async def note(self, user: str, longest: float) -> None:
        """Record that a user logs out everywhere.

        :param longest: seconds for which the log-out is remembered.  No cookie of an earlier log-in may be valid for
            longer.
        """
        await self._store.put(_key(user), {"at": await self._store.now()}, longest)

    async def note_one(self, log_in: str, longest: float) -> None:
        """Record that a log-in has ended.

        :param longest: see :meth:`note`.
        """
        await self._store.put(_key_of_one(log_in), {"at": await self._store.now()}, longest)


def _key(name: str) -> str:
    # Hashed, because a name may contain characters that are not allowed in a key.
    return f"api:logout:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _key_of_one(log_in: str) -> str:
    return f"api:logout:one:{log_in}"


def cookie(request: Request, value: str, seconds: float) -> tuple[str, str]:
    """Return the header field that sets the cookie."""
    secure = "; Secure" if request.scheme == "https" else ""
    about = f"Max-Age={int(seconds)}; Path={request.prefix}/; HttpOnly; SameSite=Lax{secure}"
    return "Set-Cookie", f"{COOKIE}={value}; {about}"
