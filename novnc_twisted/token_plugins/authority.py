"""Lets a proxy check tokens with a token plug-in."""

import contextlib

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.errors import InvalidToken, Revoked
from novnc_twisted.token_plugins.interfaces import ITokenPlugin


class TokenPluginAuthority:
    """Checks tokens with a plug-in.  Pass :meth:`check_token` to a proxy's factory as ``authorise``.

    :param plugin: finds the VNC server of a token.
    :param host: the ``host`` option of the proxy.  It becomes the ``compute_host`` of targets that are unix sockets,
        because such targets are on the proxy's machine.
    :param enforce_session_timeout: whether a session ends when its token expires.
    :ivar max_token: maximum number of characters of a token; pass it to the sessions as ``max_token``.
    :ivar directories: folders of unix sockets; add them to the ``socket_directories`` of the sessions.
    """

    def __init__(self, plugin: ITokenPlugin, *, host: str = "", enforce_session_timeout: bool = False) -> None:
        self._plugin = plugin
        self._host = host
        self._enforce = enforce_session_timeout
        self.max_token = plugin.max_token
        self.directories = plugin.directories

    def start(self) -> None:
        """Start the plug-in (see ITokenPlugin)."""
        self._plugin.start()

    async def check_token(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Return the address of the console to which a token leads.

        :raises InvalidToken: the token is unknown or has expired.
        :raises ServiceUnavailable: the plug-in's source cannot be read now.
        """
        target = await self._plugin.look_up(token)
        return ConnectInfo(
            host=target.host,
            port=target.port,
            socket=target.socket,
            console_type=console_type,
            compute_host=self._host if target.socket is not None else None,
            expires_at=target.expires_at if self._enforce else None,
            password=target.password,
        )

    async def ping(self) -> None:
        """Check that the plug-in's source can be read.

        :raises ServiceUnavailable: the source cannot be read.
        """
        # "readyz" stands for any token, and need not exist: InvalidToken also shows that the source is readable.
        with contextlib.suppress(InvalidToken):
            await self._plugin.look_up("readyz")

    async def find_again(self, token: str, client_address: str, info: ConnectInfo) -> None:
        """Return None, because a plug-in does not know another address of the console."""

    async def keep_token(self, token: str, client_address: str) -> None:
        """With ``enforce_session_timeout``, look up the token of a live session again.

        Without this option, a session may outlive its token, so there is nothing to check.

        :raises Revoked: the token is no longer known, or has expired.
        :raises ServiceUnavailable: the plug-in's source cannot be read now.
        """
        if not self._enforce:
            return
        try:
            await self._plugin.look_up(token)
        except InvalidToken as error:
            raise Revoked(error.detail) from None
