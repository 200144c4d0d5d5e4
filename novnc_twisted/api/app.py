"""The whole API server: passes each request to the API that the path names, with the caller if this API needs one."""

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
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
from novnc_twisted.api.console.keys import Keys
from novnc_twisted.api.console.links import ConsoleLinks
from novnc_twisted.api.console.revocations import Revocations
from novnc_twisted.api.console.screenshots import Screenshots
from novnc_twisted.api.console.servers import ListedServers
from novnc_twisted.api.console.sessions import Sessions
from novnc_twisted.api.console.tokens import Tokens as APITokenRoutes
from novnc_twisted.api.console.watch import Watch
from novnc_twisted.api.consoles import Consoles
from novnc_twisted.api.errors import fault_body, reads_only
from novnc_twisted.api.flavors import Flavors
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.links import Links
from novnc_twisted.api.outages import Outages, Work
from novnc_twisted.api.portal import portal
from novnc_twisted.api.portal.branding import Branding
from novnc_twisted.api.portal.html import see_other
from novnc_twisted.api.portal.portal import Portal
from novnc_twisted.api.power import Power
from novnc_twisted.api.responder import LOG_IN, Responder
from novnc_twisted.api.servers import Servers
from novnc_twisted.api.services import Services
from novnc_twisted.compute.keyboard_api import KeyboardAPI
from novnc_twisted.events.records import Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.identity import v3 as identity_api
from novnc_twisted.identity.api_tokens import APITokens, api_token_of
from novnc_twisted.identity.browser_login import login_of
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
"""Answers a request.  Takes the request, its id, and the path segments after the first one, which names the API."""


class Application:
    """Passes each request on to the API that the path of the request names.

    :ivar compute: the Compute API.
    :ivar console: the console API.
    :ivar branding: adds the operator's logo and style sheet to the pages below ``/console/``.
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

        :param clock: gives the time for the log of outages, for measuring the rate of answers (:class:`.Admission`),
            and for event streams; it may be monotonic.
        :param transport: carries calls to other services.  It also gives the list of live services, and the keyed store
            of log-ins and API tokens.
        :param observer: called with the events of all APIs: refused requests, power actions, screenshots, sent keys,
            and API tokens.
        :param now: gives the Unix time in seconds, for times that clients see.
        """
        self._auth = auth
        self._tokens = Tokens(transport.store, auth.user, now)
        self._identity = IdentityAPI(auth, self._tokens, now)
        self._outages = outages = Outages(clock)
        self._responder = Responder(outages, observer, NAME)
        inventory = Inventory(compute)
        links = Links(inventory, compute, consoleauth)
        consoles = Consoles(links, consoleauth)
        power = Power(inventory, compute, observer)
        self._logins = auth.browser_logins(transport.store, self._tokens, now)
        holders = auth.token_holders(self._logins, now)
        self._api_tokens = APITokens(transport.store, holders, observer, now) if holders else None
        sessions = SessionsAPI(transport)
        resources = (
            Servers(inventory),
            consoles,
            Actions(consoles, power),
            Services(transport),
            Flavors(inventory),
        )
        self.compute = ComputeAPI(clock, outages, self._responder, resources)
        self.branding = Branding()
        admitted = self.compute.admitted
        self._portal = Portal(
            self._logins, self._api_tokens, inventory, links, power, admitted, self._report_page, self._page_answered
        )
        self.console = ConsoleAPI(
            self._responder,
            self.compute.admitted,
            (
                ListedServers(inventory),
                Events(Watch(clock, inventory, sessions)),
                Sessions(sessions, consoleauth),
                History(consoleauth),
                Revocations(consoleauth),
                ConsoleLinks(links, now),
                APITokenRoutes(self._api_tokens),
                Screenshots(inventory, compute, observer),
                Keys(inventory, KeyboardAPI(transport), observer),
            ),
        )
        self._apis: dict[str, _API] = {
            **dict.fromkeys(VERSIONS, self._answer_compute),
            "console": self._answer_console,
            "identity": self._answer_identity,
            "image": self._answer_image,
        }

    def paths(self) -> Iterator[str]:
        """Return the patterns of all paths, for the access log."""
        for version in VERSIONS:
            yield version
            yield from self.compute.router.patterns(version)
            yield from self.compute.router.patterns(f"{version}/{{}}")  # with the project
        yield f"console/{console_api.VERSION}"
        yield from self.console.router.patterns(f"console/{console_api.VERSION}")
        yield from (*portal.PATHS, *identity_api.PATHS, *image.PATHS, "healthz")

    async def answer(self, request: Request) -> Response:
        """Return the response; an error becomes an error response.  The headers contain the request's id."""
        request_id = f"req-{uuid.uuid4()}"
        response = await self._responder.respond(request, request_id, None, self._dispatch(request, request_id))
        return response.with_headers(("X-OpenStack-Request-Id", request_id), ("X-Compute-Request-Id", request_id))

    def error_response(self, error: HTTPError) -> Response:
        """Return the response to a request that cannot be read."""
        return Response(error.status, fault_body(error), error.headers)

    async def _dispatch(self, request: Request, request_id: str) -> Response:
        # Checked first, because with noauth, clients on other machines must not even get the version documents.
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
            if segments and _VERSION.fullmatch(segments[0]):  # a version that the console API does not have
                return console_api.choices(request)
            page = partial(self._portal.answer, request, segments, self._caller)
            return await self.branding.answer(request, segments, page)
        if len(segments) == 1:
            return console_api.version(request)
        return await self.console.answer(request, request_id, self._caller, segments[1:])

    def _report_page(self, request: Request, error: HTTPError, cause: BaseException) -> None:
        self._responder.report(request, "page", _work_of_page(request), error, cause)

    def _page_answered(self, request: Request) -> None:
        self._outages.answered(_work_of_page(request))

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

        If Keystone gives no usable answer, the error is HTTPError 503 or ServiceUnavailable.

        :raises HTTPError: 400: a header field with credentials came twice; 401: there are no valid credentials; 403:
            this caller may not make this request, or a page of another site makes it; 429: the user is locked out,
            or too many unknown tokens are being validated; 503: too many users log in at the same time.
        :raises ServiceUnavailable: Redis does not answer.
        """
        secret = login_of(request) if self._logins else None
        api_token = api_token_of(request) if self._api_tokens else None
        if self._api_tokens is not None and api_token is not None:
            caller = await self._api_tokens.caller(request, api_token)
        elif secret is None or self._logins is None:
            caller = await self._auth.caller(request, self._tokens.read)
        else:
            caller = await self._logins.caller(request, secret)
        if caller is None:
            raise unauthenticated(self._auth.identity_url(request))
        # Checked here for all APIs: readers may use only GET and HEAD.
        if caller.reads_only and not request.reads:
            raise reads_only(caller)
        return caller


def _work_of_page(request: Request) -> Work:
    """Return the :class:`.Work` of a request for a page.

    The Work's ``route`` is the same for all pages.  The Work's ``arguments`` contain the servers that the request
    names, because a failure may concern only the compute host of one server.
    """
    return Work("page", (*request.segments[2:3], *request.query.get("server", [])))


def _is_browser(request: Request) -> bool:
    """Return whether a browser asks for a page: only browsers ask for HTML."""
    accepted = ",".join(request.headers.get("accept", []))
    return request.reads and "text/html" in accepted.lower()
