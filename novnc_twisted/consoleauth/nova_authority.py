"""Nova as the authority: console tokens are those that nova made, and nova's public API checks them.

Neither nova's database nor its message bus is used, and nothing is kept here.  Nova's own proxies and ours therefore
serve the same links at the same time.
"""

import time
from collections.abc import Callable
from typing import Final

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.nova_api import NovaAPI, NovaServer
from novnc_twisted.contract.connect_info import NOVNC, ConnectInfo
from novnc_twisted.errors import ConsoleForbidden, InstanceNotFound, InstanceNotRunning, InvalidToken

MAX_FIRST_USES: Final = 10_000
"""Tokens whose first use is remembered for ``enforce_session_timeout``; the oldest is forgotten first."""

_MAX_TOKEN: Final = 255

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
        # The token becomes a part of a URL: with "../" or "?" it could name another resource of nova.
        if not _is_a_path_segment(token):
            raise InvalidToken("nova makes no tokens of this form")
        place = await self._nova.look_up(token)
        server = await self._nova.server(place.instance_uuid)
        if server is not None:
            _refuse_without_screen(server)
        return ConnectInfo(
            host=place.host,
            port=place.port,
            internal_access_path=place.internal_access_path,
            instance_uuid=place.instance_uuid,
            name=server.name if server is not None else "",
            instance_name=server.instance_name if server is not None else "",
            console_type=console_type,
            project_id=server.project_id if server is not None else None,
            compute_host=server.compute_host or None if server is not None else None,
            expires_at=self._first_use(token) + self._ttl if self._enforce else None,
            reconnects=not self._enforce,
        )

    def _first_use(self, token: str) -> float:
        key, now = hash_token(token), self._now()
        # Under its hash: the memory of the proxy then holds no usable tokens.
        known = self._first_uses.setdefault(key, now)
        while len(self._first_uses) > MAX_FIRST_USES:
            del self._first_uses[next(iter(self._first_uses))]
        return known


def _is_a_path_segment(token: str) -> bool:
    """Whether the token can stand in a URL's path without being encoded (RFC 3986, section 2.3); nova's are UUIDs.

    Servers refuse a request with a very long path in ways that look like an outage.
    """
    return (
        0 < len(token) <= _MAX_TOKEN and token.isascii() and all(letter.isalnum() or letter in "-_" for letter in token)
    )


def _refuse_without_screen(server: NovaServer) -> None:
    if server.status in _GONE:
        raise InstanceNotFound(f"nova shows the server as {server.status}")
    if server.status in _OFF:
        raise InstanceNotRunning(f"nova shows the server as {server.status}")
