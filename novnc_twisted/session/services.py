"""What the sessions of a front have in common: whom they ask, what they report to, and their settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.events.records import Observer
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.settings import SessionSettings

Authorise = Callable[[str, str, str], Awaitable[ConnectInfo]]
"""``async (token, console_type, client_address) -> ConnectInfo``; raises a Refusal."""

AskPassword = Callable[[str, str, str], Awaitable[str | None]]
"""``async (token, console_type, client_address)`` -> the VNC password, or None."""

KeepToken = Callable[[str, str], Awaitable[str | None]]
"""``async (token, client_address)``: renews the lease of the token of a live session.

It raises Revoked, or ConsoleForbidden if the server belongs to another project now, to end the session.  The result is
what the viewer may do from now on, ``control`` or ``view``; None changes nothing.
"""

FindAgain = Callable[[str, str, ConnectInfo], Awaitable[ConnectInfo | None]]
"""``async (token, client_address, info)`` -> where this server's console is now, or None: there is no way to know.

Raises a Refusal.
"""

ChangePower = Callable[[str, str, str, str], Awaitable[str | None]]
"""``async (token, console_type, client_address, action)`` -> why the action was refused, or None; raises a Refusal.

The action is ``stop``, ``reboot`` or ``reset`` (:data:`novnc_twisted.contract.power.ACTIONS`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServices:
    """The one object that a session is given besides its viewer.

    :ivar reactor: the reactor.
    :ivar authorise: exchanges a token for the place of a console.
    :ivar settings: the settings of the sessions.
    :ivar limits: how many sessions there may be; may be shared with the other front of this process.
    :ivar observer: receives an event when a session is live, and one when it has ended.
    :ivar ask_password: asked for the VNC password if the VNC server wants one; None: there is none.
    :ivar keep_token: called while a session lives; None: tokens have no leases.
    :ivar change_power: begins a power action for a viewer that asks for one; None: viewers are not offered any.
    :ivar find_again: asked where the console is now if it is not at the place that ``authorise`` gave; None: nobody is.
    """

    reactor: Any
    authorise: Authorise
    settings: SessionSettings
    limits: SessionLimits
    observer: Observer
    ask_password: AskPassword | None = None
    keep_token: KeepToken | None = None
    find_again: FindAgain | None = None
    change_power: ChangePower | None = None
