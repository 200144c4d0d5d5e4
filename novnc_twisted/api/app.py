"""The whole API server: which API a path belongs to, and who asks."""

import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.api import image, versions
from novnc_twisted.api.actions import Actions
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.compute import VERSIONS, ComputeAPI
from novnc_twisted.api.console import api as console_api
from novnc_twisted.api.console.api import ConsoleAPI
from novnc_twisted.api.console.events import Events
from novnc_twisted.api.console.history import History
from novnc_twisted.api.console.links import ConsoleLinks
from novnc_twisted.api.console.revocations import Revocations
from novnc_twisted.api.console.screenshots import Screenshots
from novnc_twisted.api.console.servers import ListedServers
from novnc_twisted.api.console.sessions import Sessions
from novnc_twisted.api.console.watch import Watch
from novnc_twisted.api.consoles import Consoles
from novnc_twisted.api.errors import fault_body
from novnc_twisted.api.flavors import Flavors
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.links import Links
from novnc_twisted.api.outages import Outages
from novnc_twisted.api.portal.html import see_other
from novnc_twisted.api.portal.portal import Portal
from novnc_twisted.api.power import Power
from novnc_twisted.api.responder import LOG_IN, Responder
from novnc_twisted.api.servers import Servers
from novnc_twisted.api.services import Services
from novnc_twisted.events.records import Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.identity.browser_login import BrowserLogins, with_login
from novnc_twisted.identity.errors import unauthenticated
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.identity.users import Caller
from novnc_twisted.identity.v3 import IdentityAPI
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.session.rpcapi import SessionsAPI

NAME: Final = "consoleapi"
"""The server's name in events and in the log."""

_VERSION: Final = re.compile(r"v[0-9]+")

_API = Callable[[Request, str, tuple[str, ...]], Awaitable[Response]]
"""Answers a request; takes its id, and the segments of the path after the first one, which names the API."""


class Application:
    """Gives each request to the API that its path names.

    :ivar compute: the Compute API.
    :ivar console: the console API.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        consoleauth: IConsoleAuthAPI,
        compute: IComputeAPI,
        transport: ITransport,
        auth: IAuth,
        observer: Observer,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare to answer.

        :param clock: gives the time of deadlines and rates; it may be monotonic.
        :param transport: has the presence of the services, and the store with the key of the tokens.
        :param observer: called with the event of each request that is refused before an API looks at what it asks for.
        :param now: Unix time in seconds, which clients are shown.
        """
        self._auth = auth
        self._tokens = Tokens(transport.store, auth.user, now)
        self._identity = IdentityAPI(auth, self._tokens, now)
        outages = Outages(clock)
        self._responder = Responder(outages, observer, NAME)
        inventory = Inventory(compute)
        links = Links(inventory, compute, consoleauth)
        consoles = Consoles(links, consoleauth)
        power = Power(inventory, compute, observer)
        self._logins = BrowserLogins(transport.store, self._tokens, now)
        sessions = SessionsAPI(transport)
        resources = (
            Servers(inventory),
            consoles,
            Actions(consoles, power),
            Services(transport),
            Flavors(inventory),
        )
        self.compute = ComputeAPI(clock, outages, self._responder, resources)
        self._portal = Portal(auth, self._logins, inventory, links, power, self.compute.admitted)
        self.console = ConsoleAPI(
            self._responder,
            self.compute.admitted,
            (
                ListedServers(inventory),
                Events(Watch(clock, inventory, sessions)),
                Sessions(sessions, consoleauth),
                History(consoleauth),
                Revocations(consoleauth),
                ConsoleLinks(links),
                Screenshots(inventory, compute, observer),
            ),
        )
        self._apis: dict[str, _API] = {
            **dict.fromkeys(VERSIONS, self._answer_compute),
            "console": self._answer_console,
            "identity": self._answer_identity,
            "image": self._answer_image,
        }

    async def answer(self, request: Request) -> Response:
        """Return the response, whatever happens; its headers have the request's id."""
        request_id = f"req-{uuid.uuid4()}"
        response = await self._responder.respond(request, request_id, None, self._dispatch(request, request_id))
        return response.with_headers(("X-OpenStack-Request-Id", request_id), ("X-Compute-Request-Id", request_id))

    def error_response(self, error: HTTPError) -> Response:
        """Return the response to a request that cannot be read."""
        return Response(error.status, fault_body(error), error.headers)

    async def _dispatch(self, request: Request, request_id: str) -> Response:
        # Before anything else, version documents included: with noauth, other machines must learn nothing.
        self._auth.admit(request)
        if not request.segments:
            return see_other(f"{request.prefix}/console/") if _is_browser(request) else versions.index(request)
        api = self._apis.get(request.segments[0])
        return versions.choices(request) if api is None else await api(request, request_id, request.segments[1:])

    async def _answer_compute(self, request: Request, request_id: str, segments: tuple[str, ...]) -> Response:
        version = request.segments[0]
        if not segments:
            return versions.show(request, version)
        return await self.compute.answer(request, request_id, await self._caller(request), version, segments)

    async def _answer_console(self, request: Request, request_id: str, segments: tuple[str, ...]) -> Response:
        if segments[:1] != (console_api.VERSION,):
            if segments and _VERSION.fullmatch(segments[0]):
                return versions.choices(request)
            return await self._portal.answer(request, segments, self._caller)
        if len(segments) == 1:
            return console_api.version(request)
        return await self.console.answer(request, request_id, await self._caller(request), segments[1:])

    async def _answer_identity(self, request: Request, request_id: str, segments: tuple[str, ...]) -> Response:
        if not self._auth.own_identity:
            raise HTTPError(404, f"This server has no identity service. Log in at {self._auth.identity_url(request)}")
        work = LOG_IN if segments and request.method == "POST" else None
        return await self._responder.respond(request, request_id, work, self._identity.handle(request, segments))

    async def _answer_image(self, request: Request, request_id: str, segments: tuple[str, ...]) -> Response:
        if not segments:
            return image.versions(request)
        await self._caller(request)
        return image.show(request, segments)

    async def _caller(self, request: Request) -> Caller:
        """Return the caller.

        :raises HTTPError: 401; 403: the caller may only read; or 429 or 503, if the password was not looked at.
        :raises ServiceUnavailable: the caller's token could not be checked.
        """
        asked = with_login(request) if self._auth.tokens else request
        caller = await self._auth.caller(asked, self._tokens.read if asked is request else self._logins.read)
        if caller is None or (asked is not request and await self._logins.has_ended(request)):
            raise unauthenticated(self._auth.identity_url(request))
        # Here, once for all APIs: no method but GET and HEAD is for readers, whatever it does.
        if caller.reads_only and not request.reads:
            raise HTTPError(403, "The role reader opens no console and changes nothing. Ask for the role member.")
        return caller


def _is_browser(request: Request) -> bool:
    """Whether a person asks, and not a program: only browsers ask for HTML."""
    accepted = ",".join(request.headers.get("accept", []))
    return request.reads and "text/html" in accepted.lower()
