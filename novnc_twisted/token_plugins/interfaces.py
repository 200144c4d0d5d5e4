"""What a token plug-in is."""

from collections.abc import Callable
from typing import Any

from zope.interface import Attribute, Interface

from novnc_twisted.token_plugins.target import Target

LONGEST_TOKEN = 256
"""Characters of the longest token of most plug-ins."""


class ITokenPlugin(Interface):
    """Finds the VNC server of a token."""

    max_token: int = Attribute("Characters of the longest token.")
    reads_once: bool = Attribute("Whether it keeps what it has read at the start, until :meth:`renewal`.")
    directories: tuple[str, ...] = Attribute("Folders with unix sockets that its tokens lead to.")

    def start() -> None:
        """Begin to connect, if it has a peer."""

    def stop() -> Any:
        """Close what :meth:`start` has opened; may return an awaitable."""

    def renewal() -> Callable[[], None]:
        """Read again what was read at the start, and return what puts it into use.

        :raises ValueError: it can't be used; nothing has changed then.
        """

    async def look_up(token: str) -> Target:
        """Return where a token leads.

        :raises InvalidToken: the token is unknown or has expired.
        :raises ServiceUnavailable: the source cannot be read now.
        """
