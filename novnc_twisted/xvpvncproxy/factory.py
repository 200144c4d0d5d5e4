"""The protocol factory of the XVP proxy."""

from typing import Any

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.failures import Failures
from novnc_twisted.events.records import Observer
from novnc_twisted.frontend.factory import FrontFactory
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.services import AskPassword, Authorise, ChangePower, FindAgain, KeepToken
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.xvpvncproxy.protocol import XVPVNCProxyProtocol


class XVPVNCProxyFactory(FrontFactory):
    """Protocol factory for the Java viewer (nova-xvpvncproxy).  Works with any stream endpoint, also with TLS."""

    name = "xvpvncproxy"
    _protocol = XVPVNCProxyProtocol

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings | None = None,
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        find_again: FindAgain | None = None,
        change_power: ChangePower | None = None,
        limits: SessionLimits | None = None,
        failures: Failures | None = None,
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Make the factory.

        :param authorise: ``async (token, console_type, client_address) -> ConnectInfo``; raises a
            :class:`novnc_twisted.errors.Refusal`; has ``settings.token_deadline`` seconds.
        :param settings: default: :class:`SessionSettings` without changes.
        :param ask_password: ``async (token, console_type, client_address) -> str | None``: returns the VNC password;
            called only if the VNC server requires one and ``ConnectInfo.password`` is None.
        :param keep_token: ``async (token, client_address)``: called while a session lives.
        :param find_again: ``async (token, client_address, info) -> ConnectInfo | None``: asked where the console is now
            if it is not at the place of ``info``; has ``settings.token_deadline`` seconds.
        :param change_power: ``async (token, console_type, client_address, action) -> str | None``: begins an action
            (``stop``, ``reboot``, ``reset``) that a viewer asks for by xvp, and returns why it was refused, or None.
            Without this function, viewers are offered no actions.
        :param limits: limits of sessions; may be shared with another proxy of this process; default: own limits.
        :param failures: counts failed guesses of a token; may be shared; default: own counts.
        :param connection_limits: limits of connections; may be shared; default: no limits.
        :param observer: called with each event (see :mod:`novnc_twisted.events`); default: write events to the log.
        """
        super().__init__(
            reactor,
            authorise,
            settings=settings,
            ask_password=ask_password,
            keep_token=keep_token,
            find_again=find_again,
            change_power=change_power,
            limits=limits,
            failures=failures,
            connection_limits=connection_limits,
            observer=observer,
        )
