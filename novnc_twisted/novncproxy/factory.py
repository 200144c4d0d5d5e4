"""The protocol factory of the noVNC proxy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.failures import Failures
from novnc_twisted.access.forwarded import networks
from novnc_twisted.events.records import Observer
from novnc_twisted.frontend.factory import FrontFactory
from novnc_twisted.http.unreadable_addresses import UnreadableAddresses
from novnc_twisted.novncproxy.handshake import Handshaker
from novnc_twisted.novncproxy.page import SHIPPED, Page
from novnc_twisted.novncproxy.protocol import NoVNCProxyProtocol
from novnc_twisted.novncproxy.upgrade import UpgradePolicy
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.people import People
from novnc_twisted.session.services import AskPassword, Authorise, ChangePower, FindAgain, KeepToken
from novnc_twisted.session.settings import SessionSettings


class NoVNCProxyFactory(FrontFactory):
    """Protocol factory for the page and its WebSocket on one port.  Works with any stream endpoint and with TLS.

    The check of a request's Origin does not depend on earlier requests.  In nova, the Host of one request changed the
    check of later requests (nova bug 2158919).
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
        base_url: str | None = "http://127.0.0.1:6080/vnc_auto.html",
        allowed_origins: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
        frame_ancestors: Sequence[str] = ("'self'",),
        list_addresses: Sequence[tuple[str, int]] = (),
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        find_again: FindAgain | None = None,
        change_power: ChangePower | None = None,
        people: People | None = None,
        limits: SessionLimits | None = None,
        failures: Failures | None = None,
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Make the factory.

        :param authorise: ``async (token, console_type, client_address) -> ConnectInfo``: checks a token.  Raises a
            :class:`novnc_twisted.errors.Refusal` if the token is refused; may take ``settings.token_deadline`` seconds.
        :param settings: default: :class:`SessionSettings` with its default values.
        :param web: the folder of the page.
        :param base_url: ``novncproxy_base_url``.  An Origin must have the scheme of this URL (None: http or https).  If
            a trusted proxy sends X-Forwarded-Proto, an Origin must have that scheme instead.
        :param allowed_origins: hosts whose pages may connect, besides the host to which a request was sent.
        :param trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are accepted.
        :param frame_ancestors: sites that may show the page in a frame, as sources of Content-Security-Policy.
        :param list_addresses: addresses and ports at which the API of this process listens.  If ``frame_ancestors``
            contains ``'self'``, the API's page with the list of servers may frame the console page, too.
        :param ask_password: ``async (token, console_type, client_address) -> str | None``: returns the VNC password;
            called only if the VNC server requires one and ``ConnectInfo.password`` is None.
        :param keep_token: ``async (token, client_address) -> str | None``: called regularly while a session lives.
            Renews the token's lease, which lets the viewer reconnect, usually even after the token itself has expired.
            Returns what the viewer may do from now on, ``control`` or ``view``; None: no change.
        :param find_again: ``async (token, client_address, info) -> ConnectInfo | None``: called if the console is
            perhaps not at the address in ``info``, or if the console page asks for the state of the server.  Returns
            the present address and state, or None if they are not known; may take ``settings.token_deadline``
            seconds.
        :param change_power: ``async (token, console_type, client_address, action) -> str | None``: begins an action
            (:data:`novnc_twisted.contract.power.VIEWERS_ACTIONS`) that a viewer asks for, and returns why it was
            refused, or None.  Without this function, viewers are offered no actions.
        :param people: calls consoleauth about the people at a console, about changes of control and about links for
            guests (see :class:`novnc_twisted.session.people.People`).  None: pages have no channel to the proxy.
        :param limits: limits of sessions; may be shared with another proxy of this process.  Default: limits for this
            proxy only.
        :param failures: counts failed guesses of a token; may be shared like ``limits``.  Default: counts for this
            proxy only.
        :param connection_limits: limits of connections; may be shared like ``limits``.  Default: no limits.
        :param observer: called with each event (see :mod:`novnc_twisted.events`); default: write events to the log.
        :raises ValueError: a trusted proxy is neither an address nor a network.
        """
        super().__init__(
            reactor,
            authorise,
            settings=settings,
            ask_password=ask_password,
            keep_token=keep_token,
            find_again=find_again,
            change_power=change_power,
            people=people,
            limits=limits,
            failures=failures,
            connection_limits=connection_limits,
            observer=observer,
        )
        scheme = ""
        if base_url is not None:
            scheme = urlsplit(base_url).scheme.lower() or "http"
        self.page = Page(web)
        self.trusted_proxies = networks(trusted_proxies)
        self.upgrades = UpgradePolicy(
            Handshaker(reactor, channel=people is not None),
            scheme=scheme,
            allowed_origins=tuple(allowed_origins),
            trusted_proxies=self.trusted_proxies,
        )
        self.unreadable = UnreadableAddresses(reactor)
        self.frame_ancestors = tuple(frame_ancestors)
        self.list_addresses = list_addresses

    def use_origins(
        self, *, allowed_origins: Sequence[str], trusted_proxies: Sequence[str], frame_ancestors: Sequence[str]
    ) -> None:
        """Use other values of these three arguments of the factory from the next request on."""
        self.trusted_proxies = networks(trusted_proxies)
        self.frame_ancestors = tuple(frame_ancestors)
        self.upgrades = replace(
            self.upgrades, allowed_origins=tuple(allowed_origins), trusted_proxies=self.trusted_proxies
        )
