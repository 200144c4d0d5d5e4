"""The factory of the noVNC front."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.failures import Failures
from novnc_twisted.access.forwarded import networks
from novnc_twisted.events.log import EventLog
from novnc_twisted.events.records import Observer
from novnc_twisted.frontend.factory import FrontFactory
from novnc_twisted.http.unreadable_addresses import UnreadableAddresses
from novnc_twisted.novncproxy.handshake import Handshaker
from novnc_twisted.novncproxy.page import SHIPPED, Page
from novnc_twisted.novncproxy.protocol import NoVNCProxyProtocol
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.services import AskPassword, Authorise, KeepToken, SessionServices
from novnc_twisted.session.settings import SessionSettings


class NoVNCProxyFactory(FrontFactory):
    """Protocol factory of the page and its WebSocket, on one port: listen with it on any stream endpoint, TLS too.

    Nothing of a request is remembered here (nova bug 2158919): what is configured does not change.
    """

    name = "novncproxy"
    _protocol = NoVNCProxyProtocol

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings | None = None,
        web: str | Path = SHIPPED,
        base_url: str = "http://127.0.0.1:6080/vnc_auto.html",
        allowed_origins: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        frame_ancestors: Sequence[str] = ("'self'",),
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        limits: SessionLimits | None = None,
        failures: Failures | None = None,
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Make the factory.

        :param authorise: ``async (token, console_type, client_address) -> ConnectInfo``; raises a
            :class:`novnc_twisted.errors.Refusal`; has ``settings.token_deadline`` seconds.
        :param settings: default: :class:`SessionSettings` without changes.
        :param web: the folder of the page.
        :param base_url: ``novncproxy_base_url``; an Origin must have its scheme.
        :param allowed_origins: hosts whose pages may connect, besides the one that a request was sent to.
        :param trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
        :param frame_ancestors: sources of Content-Security-Policy that may frame the page.
        :param ask_password: ``async (token, console_type, client_address) -> str | None``: the VNC password, asked
            only where the VNC server wants one and ``ConnectInfo.password`` is None.
        :param keep_token: ``async (token, client_address)``: called while a session lives.
        :param limits: to be shared with another front of this process; default: its own.
        :param failures: the same for failed guesses of a token.
        :param connection_limits: the same for connections; default: no limit.
        :param observer: called with each event (see :mod:`novnc_twisted.events`); default: a log of its own.
        :raises ValueError: for a trusted proxy that is no address or network.
        """
        settings = SessionSettings() if settings is None else settings
        log = None
        if observer is None:
            observer = log = EventLog(reactor)
        services = SessionServices(
            reactor=reactor,
            authorise=authorise,
            settings=settings,
            limits=SessionLimits(settings.max_sessions, settings.max_sessions_per_server) if limits is None else limits,
            observer=observer,
            ask_password=ask_password,
            keep_token=keep_token,
        )
        super().__init__(services, failures=failures, connection_limits=connection_limits, log=log)
        self.handshaker = Handshaker(reactor)
        self.page = Page(web)
        self.scheme = urlsplit(base_url).scheme.lower() or "http"
        self.allowed_origins = tuple(allowed_origins)
        self.trusted_proxies = networks(trusted_proxies)
        self.unreadable = UnreadableAddresses(reactor)
        self.frame_ancestors = tuple(frame_ancestors)
