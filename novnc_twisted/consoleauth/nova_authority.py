"""Nova as the authority: nova makes the console tokens, and its public API checks them.

Only nova stores the tokens, so nova's own proxies and ours can serve the same links at the same time.  Nova's database
and message bus are not used.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, FirstError, ensureDeferred, gatherResults
from twisted.logger import Logger

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.admitted import Admitted, AdmittedTokens
from novnc_twisted.consoleauth.nova_api import NovaAPI, NovaServer, TokenPlace
from novnc_twisted.contract.connect_info import NOVNC, ConnectInfo
from novnc_twisted.errors import (
    ConsoleForbidden,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    ServiceUnavailable,
)

MAX_FIRST_USES: Final = 10_000
"""For ``enforce_session_timeout``: maximum number of tokens whose first use is remembered.  The oldest is forgotten."""

_log: Final = Logger()

_F = TypeVar("_F")
_S = TypeVar("_S")

_GONE: Final = frozenset(("DELETED", "SOFT_DELETED"))
_OFF: Final = frozenset(("BUILD", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SUSPENDED"))
"""States in which a server has no screen.  Nova still returns its last port, which another server may use now."""


class NovaAuthority:
    """Checks tokens with nova's API; :meth:`check_token` is the ``authorise`` of a proxy's factory.

    :param nova: nova's API.
    :ivar token_ttl: seconds for which nova's tokens are valid (``[consoleauth] token_ttl`` of nova-compute).
    :param enforce_session_timeout: whether a session ends ``token_ttl`` seconds after the first use of its token in
        this process.  The first use counts because nova's API does not say when a token expires.
    :param now: returns Unix time in seconds.
    :ivar admitted: the tokens whose viewers may reconnect.
    """

    def __init__(
        self,
        nova: NovaAPI,
        *,
        token_ttl: float = 600,
        enforce_session_timeout: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._nova = nova
        self.token_ttl = token_ttl
        self._enforce = enforce_session_timeout
        self._now = now
        self._first_uses: dict[str, float] = {}
        self.admitted = AdmittedTokens(now)

    async def check_token(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Return the console of this token.

        Host and port are up to date only if ``ConnectInfo.current`` is True.  If it is False, they are from the time
        when the token was made, and another VM may have them now.

        :raises InvalidToken: nova does not know the token, it has expired, or it cannot be one of nova's.
        :raises ConsoleForbidden: ``console_type`` is not ``novnc`` (nova has no tokens for the XVP proxy).  Or a viewer
            reconnects with a token that nova no longer knows, and the server belongs to another project than before.
        :raises InstanceNotFound: the server was deleted.
        :raises InstanceNotRunning: the server has no screen in its present state.
        :raises ConsoleTypeUnavailable: the server has no VNC display.
        :raises ServiceUnavailable: Keystone or nova does not answer, or refuses our credentials; or the server is
            moving to another host.
        """
        if console_type != NOVNC:
            raise ConsoleForbidden(f"nova has no tokens for {console_type}")
        known = self.admitted.find(token, client_address)
        if known is None:
            place = await self._nova.look_up(token)
            server = await self._nova.server(place.instance_uuid)
            _refuse_without_screen(server)
            info = self._info(token, place, server, current=False)
        else:
            info = await self._check_known(token, known)
        if info.reconnects:
            self.admitted.add(token, client_address, info)
        return info

    async def _check_known(self, token: str, known: Admitted) -> ConnectInfo:
        """Check a token whose session is live or has just ended; see :meth:`check_token`."""
        place, server = await _both(self._place(token), self._nova.server(known.instance_uuid))
        if place is not None and place.instance_uuid == known.instance_uuid:
            _refuse_without_screen(server)
            return self._info(token, place, server, current=False)
        # nova does not know the token any more, or names another server.  Usually, the token has expired, or a live
        # migration has ended the session: nova then deletes the tokens of the server.  The viewer may reconnect
        # nevertheless, so ask nova for the console of the server that the token opened before.
        info = await self._locate(token, known.instance_uuid, known.project_id, server)
        if info is None:
            raise InvalidToken("nova does not know the token")
        return info

    async def _place(self, token: str) -> TokenPlace | None:
        """Return where the console was when the token was made; None: nova does not know the token."""
        try:
            return await self._nova.look_up(token)
        except InvalidToken:
            return None

    async def find_again(self, token: str, client_address: str, info: ConnectInfo) -> ConnectInfo | None:
        """Return where the console is now, as its compute host reports it.

        :param info: what :meth:`check_token` returned.
        :return: None: the credentials may not read the server, or may not ask for a new token.
        :raises Refusal: see :meth:`check_token`.
        """
        before = await self._nova.server(info.instance_uuid)
        return await self._locate(token, info.instance_uuid, info.project_id, before)

    async def keep_token(self, token: str, client_address: str) -> None:
        """Let a viewer at this address reconnect with its token for 60 s from now, even if nova drops the token.

        The proxy calls this method regularly while a session lives, and at its end if its viewer may reconnect.  With
        ``enforce_session_timeout``, this method does nothing.
        """
        self.admitted.renew(token, client_address)

    async def find_rights(self) -> None:
        """Find out the rights of the credentials, and warn of missing rights.

        If nova does not answer now, a missing right is noticed at the first token check that needs it.
        """
        try:
            await self._nova.find_rights()
        except ServiceUnavailable as error:
            _log.warn("nova cannot check tokens now; links fail until it answers: {reason}", reason=error.detail)

    async def _locate(
        self, token: str, instance_uuid: str, project_id: str | None, before: NovaServer | None
    ) -> ConnectInfo | None:
        """Let nova ask the server's compute host where the console is; check that the server did not move meanwhile.

        :param before: the server as nova has just shown it; None: the credentials may not read it.
        :return: None: the credentials may not read the server, or may not ask for a new token.
        :raises Refusal: see :meth:`check_token`.
        """
        _refuse_without_screen(before)
        if before is None:
            return None
        if before.project_id != project_id:
            raise ConsoleForbidden("the server belongs to another project than before")
        try:
            fresh = await self._nova.fresh_token(instance_uuid)
        except (InstanceNotFound, InstanceNotRunning) as error:
            # Nova still shows the server as running, so it may have moved to another host a moment ago.
            raise ServiceUnavailable(f"nova shows the server as {before.status}, but {error.detail}") from None
        if fresh is None:
            return None
        place, after = await _both(self._nova.fresh_place(fresh), self._nova.server(instance_uuid))
        _refuse_without_screen(after)
        if after is None or place.instance_uuid != instance_uuid or not before.is_where(after):
            raise ServiceUnavailable("the server is moving to another host")
        return self._info(token, place, after, current=True)

    def _info(self, token: str, place: TokenPlace, server: NovaServer | None, *, current: bool) -> ConnectInfo:
        return ConnectInfo(
            host=place.host,
            port=place.port,
            internal_access_path=place.internal_access_path,
            instance_uuid=place.instance_uuid,
            name=server.name if server is not None else "",
            instance_name=server.instance_name if server is not None else "",
            console_type=NOVNC,
            project_id=server.project_id if server is not None else None,
            compute_host=server.compute_host or None if server is not None else None,
            expires_at=self._first_use(token) + self.token_ttl if self._enforce else None,
            reconnects=not self._enforce,
            current=current,
        )

    async def ping(self) -> None:
        """Request a server that does not exist, to check that Keystone and nova answer.

        :raises ServiceUnavailable: one of them does not answer.
        """
        await self._nova.ping()

    def _first_use(self, token: str) -> float:
        key, now = hash_token(token), self._now()
        # The key is the hash of the token, so that the memory of the proxy contains no usable tokens.
        known = self._first_uses.setdefault(key, now)
        while len(self._first_uses) > MAX_FIRST_USES:
            del self._first_uses[next(iter(self._first_uses))]
        return known


async def _both(first: Coroutine[Any, Any, _F], second: Coroutine[Any, Any, _S]) -> tuple[_F, _S]:
    """Wait for two requests that run at the same time.  If one fails, the other one is cancelled."""
    both: tuple[Deferred[Any], Deferred[Any]] = ensureDeferred(first), ensureDeferred(second)
    try:
        found = await gatherResults(both, consumeErrors=True)
    except FirstError as error:
        for one in both:
            one.cancel()
        error.subFailure.raiseException()
    return found[0], found[1]


def _refuse_without_screen(server: NovaServer | None) -> None:
    if server is None:
        return  # the credentials may not read servers, so the state is unknown
    if server.status in _GONE:
        raise InstanceNotFound(f"nova shows the server as {server.status}")
    if server.status in _OFF:
        raise InstanceNotRunning(f"nova shows the server as {server.status}")
