"""Nova as the authority: console tokens are those that nova made, and nova's public API checks them.

Neither nova's database nor its message bus is used, and no token is kept here.  Nova's own proxies and ours therefore
serve the same links at the same time.
"""

import time
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.admitted import AdmittedTokens
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
"""Tokens whose first use is remembered for ``enforce_session_timeout``; the oldest is forgotten first."""

_log: Final = Logger()

_GONE: Final = frozenset(("DELETED", "SOFT_DELETED"))
_OFF: Final = frozenset(("BUILD", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SUSPENDED"))
"""States of a server without a screen.  Nova still answers with the port that it had, which another server may own."""


class NovaAuthority:
    """Checks tokens with nova's API; :meth:`check_token` is the ``authorise`` of a proxy's factory.

    :param nova: nova's API.
    :param token_ttl: seconds for which nova's tokens are valid (``[consoleauth] token_ttl`` of nova-compute).
    :param enforce_session_timeout: a session ends ``token_ttl`` seconds after the first use of its token here: nova's
        API does not say when a token expires.
    :param now: Unix time in seconds.
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
        self._ttl = token_ttl
        self._enforce = enforce_session_timeout
        self._now = now
        self._first_uses: dict[str, float] = {}
        self._admitted = AdmittedTokens(now)

    async def check_token(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Where the console of this token is.

        :raises InvalidToken: nova does not know the token, it has expired, or it cannot be one of nova's.
        :raises ConsoleForbidden: ``console_type`` is another one than ``novnc``: nova makes no others.
        :raises InstanceNotFound: the server was deleted.
        :raises InstanceNotRunning: the server has no screen in its present state.
        :raises ServiceUnavailable: Keystone or nova does not answer.
        """
        if console_type != NOVNC:
            raise ConsoleForbidden(f"nova has no tokens for {console_type}")
        try:
            place = await self._nova.look_up(token)
        except InvalidToken:
            # Nova drops the tokens of a server that has moved, and their sessions are lost at the same time.
            known = self._admitted.find(token, client_address)
            info = None if known is None else await self._locate(token, known.instance_uuid, known.project_id)
            if info is None:
                raise
        else:
            server = await self._nova.server(place.instance_uuid)
            _refuse_without_screen(server)
            info = self._info(token, place, server, current=False)
        if info.reconnects:
            self._admitted.add(token, client_address, info)
        return info

    async def find_again(self, token: str, client_address: str, info: ConnectInfo) -> ConnectInfo | None:
        """Where the console is now, by the word of its compute host; None if the credentials may not ask.

        :param info: what :meth:`check_token` returned.
        :raises Refusal: see :meth:`check_token`.
        """
        return await self._locate(token, info.instance_uuid, info.project_id)

    async def keep_token(self, token: str, client_address: str) -> None:
        """Let the viewer of a live session come back with its token within 60 s, even if nova has dropped the token."""
        self._admitted.renew(token, client_address)

    async def find_rights(self) -> None:
        """Find out what the credentials may do, and warn of what they may not; if nova does not answer, do it later."""
        try:
            await self._nova.find_rights()
        except ServiceUnavailable as error:
            _log.warn("nova cannot be asked about console tokens now: {reason}", reason=error.detail)

    async def _locate(self, token: str, instance_uuid: str, project_id: str | None) -> ConnectInfo | None:
        """Ask the compute host of a server, and check that the server did not move meanwhile."""
        before = await self._nova.server(instance_uuid)
        _refuse_without_screen(before)
        if before is None:
            return None
        if before.project_id != project_id:
            raise ConsoleForbidden("the server belongs to another project than it did")
        try:
            place = await self._nova.fresh_place(instance_uuid)
        except (InstanceNotFound, InstanceNotRunning) as error:
            # Nova still shows the server, so its host may have lost it to another one a moment ago.
            raise ServiceUnavailable(f"nova shows the server as {before.status}, but {error.detail}") from None
        if place is None:
            return None
        after = await self._nova.server(instance_uuid)
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
            expires_at=self._first_use(token) + self._ttl if self._enforce else None,
            reconnects=not self._enforce,
            current=current,
        )

    async def ping(self) -> None:
        """Ask whether Keystone and nova answer, with one request for a server that does not exist.

        :raises ServiceUnavailable: they do not.
        """
        await self._nova.ping()

    def _first_use(self, token: str) -> float:
        key, now = hash_token(token), self._now()
        # Under its hash: the memory of the proxy then holds no usable tokens.
        known = self._first_uses.setdefault(key, now)
        while len(self._first_uses) > MAX_FIRST_USES:
            del self._first_uses[next(iter(self._first_uses))]
        return known


def _refuse_without_screen(server: NovaServer | None) -> None:
    if server is None:
        return  # the credentials may not read it
    if server.status in _GONE:
        raise InstanceNotFound(f"nova shows the server as {server.status}")
    if server.status in _OFF:
        raise InstanceNotRunning(f"nova shows the server as {server.status}")
