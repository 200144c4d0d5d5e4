"""What all sessions of a front (the noVNC proxy or the XVP proxy) share.

This includes the authority, which checks tokens; the observer, which receives events; and the settings.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.events.records import Observer
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.people import People
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.upstream.turns import Turns

Authorise = Callable[[str, str, str], Awaitable[ConnectInfo]]
"""``async (token, console_type, client_address) -> ConnectInfo``; raises a Refusal."""

AskPassword = Callable[[str, str, str], Awaitable[str | None]]
"""``async (token, console_type, client_address)`` -> the VNC password, or None."""

KeepToken = Callable[[str, str], Awaitable[str | None]]
"""``async (token, client_address)``: renews the lease of a live session's token.

With a lease, the viewer can usually reconnect even after the token has expired.  The result is what the viewer may do
from now on, ``control`` or ``view``; None changes nothing.  Two errors end the session: Revoked, and ConsoleForbidden,
which means that the server now belongs to another project.
"""

FindAgain = Callable[[str, str, ConnectInfo], Awaitable[ConnectInfo | None]]
"""``async (token, client_address, info)`` -> where the console of ``info`` is now, and the state of its VM.

The result is None if they are unknown.  Raises a Refusal.
"""

ChangePower = Callable[[str, str, str, str], Awaitable[str | None]]
"""``async (token, console_type, client_address, action)`` -> why the action was refused, or None; raises a Refusal.

The action is one of :data:`novnc_twisted.contract.power.VIEWERS_ACTIONS`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServices:
    """What all sessions of a front use.

    :ivar reactor: the reactor.
    :ivar authorise: checks a token, and returns the address and the rights of its console.
    :ivar settings: the settings of the sessions.
    :ivar limits: how many sessions there may be; the two fronts of a process may share this object.
    :ivar observer: receives the events of sessions, for example when a session is live and when it has ended.
    :ivar ask_password: called if the VNC server requires a password and ConnectInfo has none; returns the password.  If
        this attribute is None, the proxy has no password for such a server.
    :ivar keep_token: renews the token lease of a live session; None: tokens have no leases.
    :ivar change_power: begins a power action for a viewer that asks for one; None: viewers are offered no actions.
    :ivar people: calls consoleauth about the people at a console and about control; None: console pages show neither.
    :ivar turns: the queues of sessions that wait to connect to the same VNC server.
    :ivar find_again: returns the present address of a console and the present state of its VM.  If this attribute is
        None, the proxy does not ask for them.
    """

    reactor: Any
    authorise: Authorise
    settings: SessionSettings
    limits: SessionLimits
    observer: Observer
    turns: Turns = field(default_factory=Turns)
    ask_password: AskPassword | None = None
    keep_token: KeepToken | None = None
    find_again: FindAgain | None = None
    change_power: ChangePower | None = None
    people: People | None = None
