"""The kinds of consoles: how each logs in to its server, greets its viewer, and is filtered.

There is one kind, RFB.  Both console types (``novnc`` and ``xvpvnc``) use it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from novnc_twisted.contract.connect_info import NOVNC, XVPVNC, ConnectInfo
from novnc_twisted.relay.interfaces import IFilter, IRelay
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.session.rfb_console import RFBConsole
from novnc_twisted.session.settings import SessionSettings


class IConsoleType(Protocol):
    """What a session needs to know about a kind of console.

    In this module, *server* means the program that sends the screen, not the VM.
    """

    def log_in(self, settings: SessionSettings) -> Handshake[Any]:
        """Return the handshake with the server.  Its result is the argument ``opening`` of the other methods."""

    def verify(self, opening: Any, info: ConnectInfo, settings: SessionSettings) -> bool:
        """Compare what the server says about itself with the VM that was asked for.

        :return: True: this is the console of the VM, or the settings switch the comparison off.  False: there is not
            enough information to compare.
        :raises ConsoleUnreachable: this is the console of another VM.
        """

    def greet(self) -> Handshake[Any]:
        """Return the handshake with the viewer.  It runs after the log-in to the server."""

    def first_message(self, opening: Any, info: ConnectInfo) -> bytes:
        """Return the first bytes for the viewer after its handshake."""

    def filters(self, opening: Any, info: ConnectInfo, settings: SessionSettings) -> Sequence[IFilter]:
        """Return the initial filters of the live session, as the viewer's rights and the settings require."""

    def offer_power(self, relay: IRelay, change: Callable[[str], None]) -> None:
        """Offer power actions to a viewer that supports them.  Called before the relay starts.

        :param change: called with each action that the viewer requests: ``stop``, ``reboot`` or ``reset``.
        """

    def withdraw_power(self, relay: IRelay) -> None:
        """Ignore power actions that the viewer requests from now on."""

    def change_rights(self, relay: IRelay, info: ConnectInfo, *, resizes: bool = True) -> None:
        """Change the filters of a live session to the filters for the rights in ``info``.

        :param resizes: whether the viewer may change the size of the screen, if it has control.
        :raises ValueError: the relay has no filter that knows the boundaries of the viewer's messages.
        """


_CONSOLE_TYPES: dict[str, IConsoleType] = dict.fromkeys((NOVNC, XVPVNC), RFBConsole())


def console_type(name: str) -> IConsoleType:
    """Return the kind of console for a console type."""
    return _CONSOLE_TYPES[name]
