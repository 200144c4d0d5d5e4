"""What a token plug-in is."""

from typing import Any

from zope.interface import Attribute, Interface

from novnc_twisted.token_plugins.target import Target

LONGEST_TOKEN = 256
"""Characters of the longest token of most plug-ins."""


class ITokenPlugin(Interface):
    """Finds the VNC server of a token."""

    max_token: int = Attribute("Characters of the longest token.")
    directories: tuple[str, ...] = Attribute("Folders with unix sockets that its tokens lead to.")

    def start() -> None:
        """Begin to connect, if it has a peer."""

    def stop() -> Any:
        """Close what :meth:`start` has opened; may return an awaitable."""

    async def look_up(token: str) -> Target:
        """Return where a token leads.

        :raises InvalidToken: the token is unknown or has expired.
        :raises ServiceUnavailable: the source cannot be read now.
        """
