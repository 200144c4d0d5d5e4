"""The strategy ``keystone``: the users of an OpenStack cloud, whose tokens Keystone validates.

Most rules are those of keystonemiddleware's ``auth_token``.  There are two main differences.  A request that changes
something needs an answer of Keystone that is less than :data:`FRESH` seconds old.  Service tokens
(``X-Service-Token``) are ignored.
"""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlineOver
from twisted.python.failure import Failure

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.request import Request
from novnc_twisted.identity.errors import too_many_tokens
from novnc_twisted.identity.keystone.browser_logins import KeystoneLogins
from novnc_twisted.identity.keystone.fair_share import FairShare
from novnc_twisted.identity.keystone.interfaces import DEADLINE, IKeystone
from novnc_twisted.identity.keystone.log_in import KeystoneLogIn
from novnc_twisted.identity.keystone.token import KeystoneToken, Roles
from novnc_twisted.identity.keystone.token_cache import TokenCache
from novnc_twisted.identity.keystone.token_holders import KeystoneHolders
from novnc_twisted.identity.lockout import Lockout, LockoutSettings
from novnc_twisted.identity.strategy import TokenReader
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.identity.users import Caller
from novnc_twisted.messaging.interfaces import IKeyedStore

if TYPE_CHECKING:
    from novnc_twisted.identity.browser_login import IBrowserLogins

MAX_CACHE_TIME: Final = 300.0
"""Maximum number of seconds for which an answer of Keystone is used."""

FRESH: Final = 5.0
"""Maximum age in seconds of Keystone's answer about a token, for a request that opens a console or changes something.

A client opens a console with several requests within a second or two.  They share one answer.  A user who has lost a
role can open new consoles for at most 5 s, plus the time of one validation.
"""

# Printable ASCII, because tokens are sent in a header field.  Fernet and JWS tokens have fewer than 2,000 characters.
_FORM: Final = re.compile(r"[!-~]{1,4096}")

_UNKNOWN: Final = "readyz"
"""A text that is never a token.  If Keystone works and we may validate tokens, Keystone answers 404 for this text."""


class KeystoneUsers:
    """Finds the caller of a request by the Keystone token in ``X-Auth-Token``.

    :param clock: gives the time (IReactorTime).
    :param keystone: sends requests to Keystone with credentials of our own.
    :param identity_url: where clients log in, for the header WWW-Authenticate.
    :param credentials: the section of nova.conf with our own credentials, for the texts of errors.
    :param roles: the roles that give rights.
    :param cache_time: seconds for which an answer is used; 0: each request asks Keystone.
    :param service_type: the type of this service in access rules of application credentials.
    :param lockout: the limits for failed log-ins of browsers.
    :param now: returns the Unix time in seconds.
    """

    tokens = False
    own_identity = False

    def __init__(
        self,
        clock: Any,
        keystone: IKeystone,
        *,
        identity_url: str,
        credentials: str = "[keystone_authtoken]",
        roles: Roles | None = None,
        cache_time: float = MAX_CACHE_TIME,
        service_type: str = "compute",
        lockout: LockoutSettings | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._keystone = keystone
        self._identity_url = identity_url
        self._credentials = credentials
        self._roles = Roles() if roles is None else roles
        self._service_type = service_type
        self._lockout = Lockout(LockoutSettings() if lockout is None else lockout, clock.seconds)
        self._now = now
        self._cache = TokenCache(clock.seconds, min(cache_time, MAX_CACHE_TIME))
        self._first_validations = FairShare()
        self._waiting: dict[bytes, list[Deferred[KeystoneToken | None]]] = {}

    def admit(self, request: Request) -> None:
        """See IAuth.  All requests are admitted; the caller is checked later."""

    def identity_url(self, request: Request) -> str:
        """See IAuth."""
        return self._identity_url

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """See IAuth.  If the token's access rules do not allow the request, return None, as for an invalid token.

        :raises HTTPError: 400: X-Auth-Token came twice; 403: the token gives no right here; 429: too many new
            tokens from this client's address are being validated (:class:`.FairShare`).
        :raises ServiceUnavailable: Keystone gives no answer that can be used.
        """
        text = (request.header("x-auth-token") or "").strip()
        if not _FORM.fullmatch(text):
            return None
        token = await self._validated(text, MAX_CACHE_TIME if request.reads else FRESH, request.client)
        if token is None or token.expires_at <= self._now():
            return None
        rules = token.access_rules
        if rules is not None and not any(rule.allows(self._service_type, request) for rule in rules):
            return None
        return self._roles.caller(token)

    async def log_in(self, name: str, password: str, address: str = "") -> None:
        """See IAuth.  Always None: API clients log in at Keystone."""

    def browser_logins(self, store: IKeyedStore, tokens: Tokens, now: Callable[[], float]) -> "IBrowserLogins":
        """See IAuth."""
        return KeystoneLogins(self._log_in(), store, lambda request: self.caller(request, _no_token), now)

    def token_holders(self, logins: Any, now: Callable[[], float]) -> KeystoneHolders:
        """See IAuth."""
        return KeystoneHolders(self._log_in(), logins.token_of, lambda request: self.caller(request, _no_token), now)

    def _log_in(self) -> KeystoneLogIn:
        return KeystoneLogIn(self._clock, self._keystone, self._lockout)

    def user(self, name: str) -> None:
        """See IAuth.  Always None, so that no token of this program's own identity service is valid here."""

    async def ping(self) -> None:
        """Check that Keystone works, by asking about a token that does not exist.

        :raises ServiceUnavailable: Keystone does not answer, or we may not validate tokens.
        """
        await self._ask(_UNKNOWN, self._cache.key(_UNKNOWN))

    async def _validated(self, text: str, max_age: float, address: str) -> KeystoneToken | None:
        """Return Keystone's answer about a token, at most ``max_age`` seconds old; None: the token is not valid."""
        key = self._cache.key(text)
        known = self._cache.get(key, max_age)
        if known is not None:
            return known
        # Simultaneous requests with one token wait for the same call.  If they are cancelled, the call goes on, because
        # the next request can use its answer.
        waiting = self._waiting.get(key)
        mine: Deferred[KeystoneToken | None] = Deferred()
        if waiting is not None:
            waiting.append(mine)
            return await mine
        # A client that invents tokens must not use up the limited number of requests to Keystone.
        is_unknown = self._cache.get(key, MAX_CACHE_TIME) is None
        if is_unknown and not self._first_validations.enter(address):
            raise too_many_tokens()
        self._waiting[key] = [mine]
        call = Deferred.fromCoroutine(self._ask(text, key)).addTimeout(DEADLINE, self._clock)
        if is_unknown:
            call.addBoth(self._left, address)
        call.addBoth(self._finish, key)
        return await mine

    def _left(self, result: Any, address: str) -> Any:
        self._first_validations.leave(address)
        return result

    def _finish(self, result: Any, key: bytes) -> None:
        if isinstance(result, Failure) and result.check(DeadlineOver, ServiceUnavailable):
            late = f"Keystone does not answer within {DEADLINE:g} s"
            why = result.value.detail if isinstance(result.value, ServiceUnavailable) else late
            result = Failure(ServiceUnavailable(f"users' tokens cannot be validated: {why}"))
        for waiting in self._waiting.pop(key):
            # A cancelled request has its result already.
            if not waiting.called:
                waiting.callback(result)

    async def _ask(self, text: str, key: bytes) -> KeystoneToken | None:
        asked_at = self._clock.seconds()
        answer = await self._keystone.request(
            # The catalog, which is most of an answer, is not used.
            "GET",
            "/auth/tokens?nocatalog",
            # Without the second header field, Keystone refuses tokens with access rules.
            headers={"X-Subject-Token": text, "OpenStack-Identity-Access-Rules": "1"},
        )
        if answer.status == 404:
            self._cache.drop(key)
            return None
        if answer.status != 200:
            raise ServiceUnavailable(_reason(answer.status, self._credentials))
        try:
            token = KeystoneToken.read(answer.body)
        except ValueError as error:
            raise ServiceUnavailable(f"Keystone's answer about a token cannot be used: {error}"[:200]) from None
        self._cache.put(key, token, asked_at)
        return token


async def _no_token(_: str) -> None:
    """Return no caller: tokens of this program's own identity service are not valid here."""


def _reason(status: int, credentials: str) -> str:
    """Return why a token could not be validated, in one clause."""
    # After the first 401, keystoneauth1 got a new token for us, and sent the request again.  So this 401 is the second.
    if status == 401:
        return f"Keystone refuses the credentials of {credentials}"
    if status == 403:
        return f"Keystone does not let the user of {credentials} validate tokens; give it the role service or admin"
    return f"Keystone answers a validation with HTTP status {status}"
