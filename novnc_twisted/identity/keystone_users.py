"""The strategy ``keystone``: the users of an OpenStack, whose tokens a Keystone validates.

The rules are those of keystonemiddleware's ``auth_token``, with two exceptions.  A request that changes something needs
an answer of Keystone that is less than :data:`FRESH` seconds old.  Service tokens (``X-Service-Token``) are ignored.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlineOver
from twisted.python.failure import Failure

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.request import Request
from novnc_twisted.identity.errors import too_many_tokens
from novnc_twisted.identity.fair_share import FairShare
from novnc_twisted.identity.keystone_token import KeystoneToken, Roles
from novnc_twisted.identity.strategy import TokenReader
from novnc_twisted.identity.token_cache import TokenCache
from novnc_twisted.identity.users import Caller

MAX_CACHE_TIME: Final = 300.0
"""Seconds for which an answer of Keystone is used, at most."""

FRESH: Final = 5.0
"""Maximum age in seconds of Keystone's answer about a token, for a request that opens a console or changes something.

A client opens a console by several requests within a second or two, which share one answer.  A user who has lost a
role can therefore open new consoles for 5 s at most, plus the time of one validation.
"""

DEADLINE: Final = 5.0
"""Seconds that a validation may take."""

# Fernet and JWS tokens are shorter than 2,000 characters.  Other characters cannot be put into a header field.
_FORM: Final = re.compile(r"[!-~]{1,4096}")

_UNKNOWN: Final = "readyz"
"""A text that is never a token.  Keystone answers 404 if it works and lets us validate tokens."""


class IKeystone(Protocol):
    """The part of :class:`novnc_twisted.keystone.KeystoneClient` that is called."""

    def request(self, method: str, path: str, *, headers: Mapping[str, str]) -> "Deferred[Any]":
        """Send a request; gives an answer with ``status`` and ``body``; fails with ServiceUnavailable."""
        ...


class KeystoneUsers:
    """Finds the caller of a request by the Keystone token in ``X-Auth-Token``.

    :param clock: gives the time (IReactorTime).
    :param keystone: sends requests to Keystone with credentials of our own.
    :param identity_url: where clients log in, for the header WWW-Authenticate.
    :param credentials: where our own credentials are configured, for errors.
    :param roles: the roles that give rights.
    :param cache_time: seconds for which an answer is used; 0: each request asks Keystone.
    :param service_type: the type of this service in access rules of application credentials.
    :param now: Unix time in seconds.
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
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._keystone = keystone
        self._identity_url = identity_url
        self._credentials = credentials
        self._roles = Roles() if roles is None else roles
        self._service_type = service_type
        self._now = now
        self._cache = TokenCache(clock.seconds, min(cache_time, MAX_CACHE_TIME))
        self._first_validations = FairShare()
        self._waiting: dict[bytes, list[Deferred[KeystoneToken | None]]] = {}

    def admit(self, request: Request) -> None:
        """See IAuth.  Everybody may ask; the caller is checked later."""

    def identity_url(self, request: Request) -> str:
        """See IAuth."""
        return self._identity_url

    async def caller(self, request: Request, read_token: TokenReader) -> Caller | None:
        """See IAuth.

        :raises HTTPError: 400: X-Auth-Token came twice; 403: the token gives no right here; 429: too many unknown
            tokens of this client's network are being validated.
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
        """See IAuth.  Users log in at Keystone."""

    def user(self, name: str) -> None:
        """See IAuth.  No token of the small identity service is valid."""

    async def ping(self) -> None:
        """Ask Keystone about a token that does not exist.

        :raises ServiceUnavailable: Keystone does not answer, or does not let us validate tokens.
        """
        await self._ask(_UNKNOWN, self._cache.key(_UNKNOWN))

    async def _validated(self, text: str, max_age: float, address: str) -> KeystoneToken | None:
        """Return what Keystone says, or said at most ``max_age`` seconds ago; None: the token is not valid."""
        key = self._cache.key(text)
        known = self._cache.get(key, max_age)
        if known is not None:
            return known
        # Requests that come together wait for one call.  It is not cancelled with them: the next request can use it.
        waiting = self._waiting.get(key)
        mine: Deferred[KeystoneToken | None] = Deferred()
        if waiting is not None:
            waiting.append(mine)
            return await mine
        # A client that invents tokens must not use up all requests that may wait for Keystone.
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
            if not waiting.called:
                waiting.callback(result)

    async def _ask(self, text: str, key: bytes) -> KeystoneToken | None:
        asked_at = self._clock.seconds()
        answer = await self._keystone.request(
            # The catalogue, which is most of an answer, is not used.
            "GET",
            "/auth/tokens?nocatalog",
            # Without the second one, Keystone refuses tokens that have access rules.
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


def _reason(status: int, credentials: str) -> str:
    """Why a token could not be validated, in one clause."""
    # keystoneauth1 has renewed our own token by now, and sent the request again.
    if status == 401:
        return f"Keystone refuses the credentials of {credentials}"
    if status == 403:
        return f"Keystone does not let the user of {credentials} validate tokens; give it the role service or admin"
    return f"Keystone answers a validation with HTTP status {status}"
