"""From a request to its answer: admission, versions, who asks, and the resource."""

import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.api import image, microversion, versions
from novnc_twisted.api.auth import IAuth
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.call import Call
from novnc_twisted.api.consoles import Consoles
from novnc_twisted.api.faults import UNEXPECTED, Fault, IdentityFault, fault_of, unauthenticated
from novnc_twisted.api.flavors import Flavors
from novnc_twisted.api.identity import Identity
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.request import Reply, Request
from novnc_twisted.api.routing import Router
from novnc_twisted.api.servers import Servers
from novnc_twisted.api.services import Services
from novnc_twisted.errors import Refusal
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.messaging.interfaces import ITransport


class Application:
    """The whole API; knows nothing of HTTP's wire.

    :ivar router: the routes of the Compute API.
    :param now: Unix time in seconds, for what clients are shown; ``clock`` may be monotonic.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        *,
        consoleauth: IConsoleAuthAPI,
        compute: IComputeAPI,
        transport: ITransport,
        auth: IAuth,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._auth = auth
        self._tokens = Tokens(transport.store, auth.user, now)
        self._identity = Identity(auth, self._tokens, now)
        self._inventory = inventory = Inventory(clock, compute)
        self.router = Router(
            [
                Servers(inventory),
                Consoles(inventory, compute, consoleauth),
                Services(transport),
                Flavors(inventory),
            ]
        )

    async def answer(self, request: Request) -> Reply:
        """The answer, whatever happens; with the request's id in its headers."""
        request_id = f"req-{uuid.uuid4()}"
        more: list[tuple[str, str]] = []
        try:
            reply = await self._answer(request, more)
        except Fault as fault:
            reply = _fault(request, fault)
        except Refusal as refusal:
            self._log.info("{id} is refused: {refusal}", id=request_id, refusal=refusal)
            reply = _fault(request, fault_of(refusal))
        except CancelledError:
            # The client left: nobody is there to be told.
            raise
        except Exception:
            self._log.failure("{id} failed", id=request_id)
            reply = _fault(request, Fault(500, UNEXPECTED))
        ids = (("X-OpenStack-Request-Id", request_id), ("X-Compute-Request-Id", request_id))
        return Reply(reply.status, reply.body, (*reply.headers, *more, *ids))

    async def _answer(self, request: Request, more: list[tuple[str, str]]) -> Reply:
        self._auth.admit(request)
        first, rest = (request.segments[0], request.segments[1:]) if request.segments else ("", ())
        if first in ("v2", "v2.1"):
            return await self._compute(request, first, rest, more) if rest else versions.show(request, first)
        if first == "identity":
            return await self._identity.handle(request, rest)
        if first == "image":
            if not rest:
                return image.versions(request)
            await self._caller(request)
            return image.show(request, rest)
        return versions.choices(request) if request.segments else versions.index(request)

    async def _caller(self, request: Request) -> Any:
        caller = await self._auth.caller(request, self._tokens.read)
        if caller is None:
            raise unauthenticated(request.base_url)
        return caller

    async def _compute(
        self, request: Request, version: str, segments: tuple[str, ...], more: list[tuple[str, str]]
    ) -> Reply:
        caller = await self._caller(request)
        legacy = version == "v2"
        wanted = microversion.MINIMUM
        if not legacy:
            # A fault about the version itself carries the default one, as nova's.
            more.extend(microversion.headers(wanted))
            wanted = microversion.requested(request)
            more[:] = microversion.headers(wanted)
        bookmark = ""
        if segments[0] not in self.router.names and len(segments) > 1:
            project, segments = segments[0], segments[1:]
            if caller.project not in (None, project):
                raise Fault(
                    400,
                    f"Malformed request URL: URL's project_id '{project[:100]}' doesn't match Context's project_id "
                    f"'{caller.project}'",
                )
            bookmark = f"/{quote(project, safe='')}"
        handler, arguments = self.router.match(request.method, segments)
        call = Call(request, caller, wanted, legacy, f"/{version}{bookmark}", bookmark)
        return await handler(call, *arguments)


def _fault(request: Request, fault: Fault) -> Reply:
    """A fault in the form of whom was asked: who logs in understands Keystone's alone."""
    if request.segments[:1] == ("identity",):
        fault = IdentityFault(fault.code, fault.message, fault.headers)
    return Reply(fault.code, fault.body(), fault.headers)
