"""The interface of a token plug-in."""

from collections.abc import Callable
from typing import Any

from zope.interface import Attribute, Interface

from novnc_twisted.token_plugins.target import Target

LONGEST_TOKEN = 256
"""Maximum number of characters of a token, in most plug-ins."""


class ITokenPlugin(Interface):
    """Finds the VNC server of a token."""

    max_token: int = Attribute("Maximum number of characters of a token.")
    reads_once: bool = Attribute("Whether the source of the tokens is read only at the start and by :meth:`renewal`.")
    directories: tuple[str, ...] = Attribute("Folders with unix sockets to which the plug-in's tokens lead.")

    def start() -> None:
        """Start the plug-in.  For example, a plug-in that reads from Redis begins to connect."""

    def stop() -> Any:
        """Close what :meth:`start` has opened; may return an awaitable."""

    def renewal() -> Callable[[], None]:
        """Read the source again, and return a function that puts the new content into use.

        :raises ValueError: the source is unusable, so nothing has changed.
        """

    async def look_up(token: str) -> Target:
        """Return where a token leads.

        :raises InvalidToken: the token is unknown or has expired.
        :raises ServiceUnavailable: the source cannot be read now.
        """
