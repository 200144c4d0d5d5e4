"""Consoles that use RFB, for noVNC and for the Java viewer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from novnc_twisted.access.display import one_line
from novnc_twisted.contract import power
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.fields import MAX_TEXT
from novnc_twisted.contract.mode import VIEW
from novnc_twisted.relay.interfaces import IFilter, IRelay
from novnc_twisted.rfb.clipboard import ClipboardPolicy
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.rfb.login import login
from novnc_twisted.rfb.offer import ClientInit, offer
from novnc_twisted.rfb.power import PowerCode, PowerOffer
from novnc_twisted.rfb.server_init import ServerInit
from novnc_twisted.rfb.shield import Shield
from novnc_twisted.rfb.view_only import PRESSED, FixedSize, ViewOnly
from novnc_twisted.session.screen_name import check_name
from novnc_twisted.session.settings import SessionSettings

_POWER: dict[int, str] = {PowerCode.SHUTDOWN: power.STOP, PowerCode.REBOOT: power.REBOOT, PowerCode.RESET: power.RESET}
"""xvp code -> power action."""


class RFBConsole:
    """See :class:`~novnc_twisted.session.console_types.IConsoleType`."""

    def log_in(self, settings: SessionSettings) -> Handshake[ServerInit]:
        """Log in to the VNC server, up to ServerInit."""
        return login(settings.auth_schemes, vencrypt_subtypes=settings.vencrypt_subtypes)

    def verify(self, opening: ServerInit, info: ConnectInfo, settings: SessionSettings) -> bool:
        """Compare the name of the screen with the name of the VM, according to ``name_check``."""
        return check_name(opening.name, info, settings.name_check)

    def greet(self) -> Handshake[ClientInit]:
        """Offer the viewer RFB 3.8 without authentication, up to ClientInit."""
        return offer()

    def first_message(self, opening: ServerInit, info: ConnectInfo) -> bytes:
        """Return the VNC server's ServerInit; ``info.name``, if known, replaces the name of the screen."""
        # QEMU's name may be "QEMU (instance-0000002a)", which users do not know.
        return (opening.renamed(one_line(info.name, MAX_TEXT)) if info.name else opening).encode()

    def filters(self, opening: ServerInit, info: ConnectInfo, settings: SessionSettings) -> Sequence[IFilter]:
        """Choose the filters of a session: shield, clipboard policy and ViewOnly, as the settings and rights require.

        The shield checks the viewer's messages.  It must be the first filter: to find the ends of these messages, the
        relay asks only the first filter.
        """
        view = info.mode == VIEW
        # A view-only session has a shield even if the setting is off.  If the viewer gets control in the middle of a
        # message, the shield shows the relay where this message ends.
        chosen: list[Any] = [Shield()] if settings.shield or view else []
        if settings.clipboard.limited:
            chosen.append(ClipboardPolicy(settings.clipboard, opening.pixel_format))
        if view:
            chosen.append(ViewOnly())
        return chosen

    def offer_power(self, relay: IRelay, change: Callable[[str], None]) -> None:
        """Offer power actions (xvp) to the viewer.  Without a shield, which reads the xvp messages, do nothing."""
        shield = _shield(relay)
        if shield is not None:
            # A partial object takes less memory than a nested function.  Each session that offers xvp keeps one.
            shield.power = partial(_ask, change)
            # PowerOffer is a filter, too.  It sends the offer before the next bytes of the VNC server, and is then
            # removed.
            power_offer: Any = PowerOffer(shield, relay.remove_filter)  # type: ignore[arg-type]
            relay.add_filter(power_offer)

    def withdraw_power(self, relay: IRelay) -> None:
        """Ignore the xvp messages of the viewer from now on."""
        shield = _shield(relay)
        if shield is not None:
            shield.power = None

    def change_rights(self, relay: IRelay, info: ConnectInfo, *, resizes: bool = True) -> None:
        """Use the filter that the rights require.

        * Without control: ViewOnly.
        * With control, but without ``resizes``: FixedSize.
        * With control and ``resizes``: neither of the two filters.

        :param resizes: whether the viewer may change the size of the screen, if it has control.
        """
        wanted: type[ViewOnly] | None = None
        if info.mode == VIEW:
            wanted = ViewOnly
        elif not resizes:
            wanted = FixedSize
        # FixedSize is a subclass of ViewOnly, so both kinds are found.
        present: list[Any] = [each for each in relay.filters if isinstance(each, ViewOnly)]
        if wanted is not None and not any(type(each) is wanted for each in present):
            # ViewOnly needs whole messages, and without the shield, a message may arrive in pieces.
            if _shield(relay) is None:
                raise ValueError("there is no shield, which knows where a message of the viewer ends")
            # Add the new filter before the present one is removed, so that no message can pass without a filter.
            # PRESSED: the viewer may be holding keys, and the server must still get their releases.
            added: Any = wanted(PRESSED) if wanted is ViewOnly else wanted()
            relay.add_filter(added)
        for each in present:
            if type(each) is not wanted:
                relay.remove_filter(each)


def _shield(relay: IRelay) -> Shield | None:
    """Return the shield of a relay, which is its first filter; None: it has no shield."""
    first: Any = relay.filters[0] if relay.filters else None
    return first if isinstance(first, Shield) else None


def _ask(change: Callable[[str], None], code: int) -> None:
    """Call ``change`` with the power action of an xvp message.  Unknown codes are ignored."""
    action = _POWER.get(code)
    if action is not None:
        change(action)
