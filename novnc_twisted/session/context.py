"""What the sessions of one proxy have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.token_lease import KeepToken

Authorise = Callable[[str, str, str], Awaitable[ConnectInfo]]
"""``async (token, console_type, client_address) -> ConnectInfo``; raises a Refusal."""

AskPassword = Callable[[str, str, str], Awaitable[str | None]]
"""``async (token, console_type, client_address)`` -> the VNC password, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What a session is given besides its viewer."""

    reactor: Any
    authorise: Authorise
    ask_password: AskPassword | None
    keep_token: KeepToken | None
    settings: SessionSettings
    limits: SessionLimits
