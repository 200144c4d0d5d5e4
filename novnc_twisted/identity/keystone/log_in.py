"""Gets tokens and application credentials for users from Keystone (Identity API v3)."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from twisted.internet.defer import TimeoutError as DeadlineOver

from novnc_twisted.contract.fields import short_text
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.browser_login import LogInFields, Project
from novnc_twisted.identity.errors import locked_out, too_many_log_ins
from novnc_twisted.identity.keystone.interfaces import DEADLINE, IKeystone
from novnc_twisted.identity.keystone.token import KeystoneToken
from novnc_twisted.identity.lockout import Lockout
from novnc_twisted.messaging.waiting import sleep

MAX_LOG_INS: Final = 4
"""Maximum number of log-ins with a password that wait for Keystone.

Each takes a thread of the :class:`.KeystoneClient`.  The limit leaves threads for the validation of tokens.
"""

MAX_PROJECTS: Final = 500
"""Maximum number of projects that are offered to one user."""

WRONG: Final = "The user, the password, the domain or the project is wrong."
NO_ROLE: Final = "You have no role in this project, or it does not exist any more. Choose another one."
DOWN: Final = "The identity service (Keystone) does not answer. Try again in a moment."


class NewToken(NamedTuple):
    """A token that Keystone made, and its description."""

    text: str
    about: KeystoneToken


class KeystoneLogIn:
    """Gets tokens for users.  It stores no passwords and no tokens.

    :param clock: IReactorTime.
    :param lockout: counts wrong passwords.  Keystone cannot count them by client address, because it sees only the
        address of this machine.
    """

    def __init__(self, clock: Any, keystone: IKeystone, lockout: Lockout) -> None:
        self._clock = clock
        self._keystone = keystone
        self._lockout = lockout
        self._in_work = 0

    async def log_in(self, given: LogInFields, address: str) -> NewToken:
        """Return an unscoped token for a name and a password.

        :raises HTTPError: 401: the name, the password or the domain is wrong; 429: the user is locked out; 503:
            Keystone gives no usable answer, or too many users log in at the same time.
        """
        name = _counted(given)
        self._refuse_locked_out(name, address)
        delay = self._lockout.delay(name, address)
        if delay:
            await sleep(delay, self._clock)
            # Checked again, because other requests may have locked the user out during the delay.
            self._refuse_locked_out(name, address)
        if self._in_work >= MAX_LOG_INS:
            raise too_many_log_ins()
        user = {"name": given.user, "domain": {"name": given.domain}, "password": given.password}
        self._in_work += 1
        try:
            token = await self._token({"methods": ["password"], "password": {"user": user}}, "unscoped")
        finally:
            self._in_work -= 1
        if token is None:
            self._lockout.failed(name, address)
            raise HTTPError(401, WRONG)
        self._lockout.succeeded(name, address)
        return token

    async def scoped(self, unscoped: str, project: str) -> NewToken | None:
        """Return a token for a project; None: the user has no role in the project, or ``unscoped`` is no longer valid.

        :raises HTTPError: 503: Keystone gives no usable answer.
        """
        return await self._token({"methods": ["token"], "token": {"id": unscoped}}, {"project": {"id": project}})

    async def projects(self, unscoped: str) -> tuple[Project, ...] | None:
        """Return the projects in which the user has a role; None: the token is not valid any more.

        :raises HTTPError: 503: Keystone gives no usable answer.
        """
        answer = await self._ask("GET", "/auth/projects", headers={"X-Auth-Token": unscoped})
        if answer.status == 401:
            return None
        try:
            rows = answer.body["projects"][:MAX_PROJECTS]
            found = [(short_text(one["id"]), short_text(one["name"]), str(one.get("domain_id", ""))) for one in rows]
        except (TypeError, KeyError, ValueError):
            raise HTTPError(503, DOWN) from None
        names = [name for _, name, _ in found]
        named = [
            Project(id, f"{name} ({domain})" if names.count(name) > 1 else name, name) for id, name, domain in found
        ]
        return tuple(sorted(named, key=lambda one: one.name.casefold()))

    async def revoke(self, token: str) -> None:
        """Revoke a token.  The same token authenticates the request.  An invalid token is ignored.

        :raises HTTPError: 503: Keystone does not answer.
        """
        await self._ask("DELETE", "/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token})

    async def log_in_with(self, credential: str, secret: str) -> NewToken | None:
        """Return a token for an application credential; None: the credential is not valid any more.

        :raises HTTPError: 503: Keystone gives no usable answer.
        """
        given = {"id": credential, "secret": secret}
        return await self._token({"methods": ["application_credential"], "application_credential": given}, None)

    async def make_credential(self, token: str, user: str, name: str, until: str) -> dict[str, str]:
        """Make an application credential with the person's own token; return its ``id`` and ``secret``.

        :param until: the time at which the credential expires, in Keystone's format.
        :raises HTTPError: 403: Keystone refuses (a status from 400 to 499); 503: Keystone gives no usable answer.
        """
        wanted = {"name": name, "expires_at": until, "unrestricted": False}
        path = f"/users/{quote(user, safe='')}/application_credentials"
        answer = await self._ask("POST", path, json={"application_credential": wanted}, headers={"X-Auth-Token": token})
        if 400 <= answer.status < 500:
            raise HTTPError(403, f"Keystone makes no application credential for you (status {answer.status}).")
        if answer.status != 201:
            raise HTTPError(503, DOWN) from ServiceUnavailable(f"Keystone makes no credential: status {answer.status}")
        try:
            made = answer.body["application_credential"]
            return {"id": short_text(made["id"]), "secret": short_text(made["secret"])}
        except (TypeError, KeyError, ValueError):
            raise HTTPError(503, DOWN) from None

    async def end_credential(self, token: str, user: str, credential: str) -> None:
        """Delete an application credential with the person's own token.  A refusal by Keystone is ignored.

        :raises HTTPError: 503: Keystone does not answer.
        """
        path = f"/users/{quote(user, safe='')}/application_credentials/{quote(credential, safe='')}"
        await self._ask("DELETE", path, headers={"X-Auth-Token": token})

    def _refuse_locked_out(self, name: str, address: str) -> None:
        wait = self._lockout.locked_for(name, address)
        if wait:
            raise locked_out(wait)

    async def _token(self, identity: Mapping[str, Any], scope: Any) -> NewToken | None:
        # ``scope`` is None for an application credential, which belongs to one project already.
        auth = {"identity": identity} | ({} if scope is None else {"scope": scope})
        answer = await self._ask("POST", "/auth/tokens?nocatalog", json={"auth": auth})
        if answer.status in (400, 401, 403, 404):
            return None
        try:
            if answer.status != 201 or not answer.token:
                raise ValueError(f"status {answer.status}")
            return NewToken(answer.token, KeystoneToken.read(answer.body))
        except ValueError as error:
            raise HTTPError(503, DOWN) from ServiceUnavailable(f"Keystone's answer to a log-in: {error}")

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        asked = self._keystone.request(method, path, authenticated=False, **more)
        try:
            return await asked.addTimeout(DEADLINE, self._clock)
        except DeadlineOver:
            cause = ServiceUnavailable(f"Keystone does not answer within {DEADLINE:g} s")
        except ServiceUnavailable as error:
            cause = error
        raise HTTPError(503, DOWN) from cause


def _counted(given: LogInFields) -> str:
    """Return the name under which the failures of a user are counted.

    Keystone's database usually ignores case, accents and spaces at the end of a name.  So
    spellings of a name that differ only in these respects are counted together.  Otherwise, each spelling would allow
    further guesses.
    """
    whole = unicodedata.normalize("NFKD", f"{given.domain.strip()}\n{given.user.strip()}".casefold())
    return "".join(one for one in whole if not unicodedata.combining(one))
