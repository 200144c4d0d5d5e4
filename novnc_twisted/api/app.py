"""From a request to its answer: admission, versions, who asks, and the resource."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.api import image, microversion, versions
from novnc_twisted.api.admission import DEADLINE, Admission
from novnc_twisted.api.auth import IAuth
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.call import Call
from novnc_twisted.api.consoles import Consoles
from novnc_twisted.api.faults import UNEXPECTED, Fault, IdentityFault, fault_of, overloaded, unauthenticated
from novnc_twisted.api.flavors import Flavors
from novnc_twisted.api.identity import Identity
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.outages import Outages, Work
from novnc_twisted.api.request import Reply, Request
from novnc_twisted.api.routing import Router
from novnc_twisted.api.servers import Servers
from novnc_twisted.api.services import Services
from novnc_twisted.errors import Refusal
from novnc_twisted.identity.tokens import Tokens
from novnc_twisted.messaging.interfaces import ITransport

OVERLOAD = f"more requests come than can be answered within {DEADLINE:g} s"
"""Why requests are refused with 429 under load."""

_OVERLOAD = Work("overload")


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
        self._outages = Outages(clock)
        self._admission = Admission(clock)
        self._inventory = inventory = Inventory(compute)
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
        subject = _Subject()
        try:
            reply = await self._answer(request, subject)
        except (Fault, Refusal) as error:
            fault = error if isinstance(error, Fault) else fault_of(error)
            self._explain(request_id, subject.work, fault, error.__cause__ or error)
            reply = _fault(request, fault)
        except CancelledError:
            # The client left: nobody is there to be told.
            raise
        except Exception:
            self._log.failure("{id} failed", id=request_id)
            reply = _fault(request, Fault(500, UNEXPECTED))
        else:
            if subject.work is not None:
                self._outages.answered(subject.work)
        ids = (("X-OpenStack-Request-Id", request_id), ("X-Compute-Request-Id", request_id))
        return replace(reply, headers=(*reply.headers, *subject.headers, *ids))

    def _explain(self, request_id: str, work: Work | None, fault: Fault, cause: BaseException) -> None:
        """Log why a request is refused, where the access log's line does not say it."""
        if fault.code == 503:
            self._outages.refused(
                (cause.detail or str(cause)) if isinstance(cause, Refusal) else fault.message, work or Work("log-in")
            )
        elif isinstance(cause, Refusal):
            self._log.info("{id} is refused: {refusal}", id=request_id, refusal=cause)

    async def _answer(self, request: Request, subject: "_Subject") -> Reply:
        self._auth.admit(request)
        first, rest = (request.segments[0], request.segments[1:]) if request.segments else ("", ())
        if first in ("v2", "v2.1"):
            return await self._compute(request, first, rest, subject) if rest else versions.show(request, first)
        if first == "identity":
            subject.work = Work("log-in") if rest and request.method == "POST" else None
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

    async def _compute(self, request: Request, version: str, segments: tuple[str, ...], subject: "_Subject") -> Reply:
        caller = await self._caller(request)
        legacy = version == "v2"
        wanted = microversion.MINIMUM
        if not legacy:
            # A fault about the version itself carries the default one, as nova's.
            subject.headers = list(microversion.headers(wanted))
            wanted = microversion.requested(request)
            subject.headers = list(microversion.headers(wanted))
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
        subject.work = Work(handler.__qualname__, arguments)
        with self._admitted():
            return await handler(call, *arguments)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count a request that calls other services.

        :raises Fault: 429, where it could not be answered in time.
        """
        wait = self._admission.admit()
        if wait:
            self._outages.refused(OVERLOAD, _OVERLOAD, status=429, quiet=10.0)
            raise overloaded(wait)
        answered = False
        try:
            yield
            answered = True
        except (Fault, Refusal) as error:
            answered = (error.code if isinstance(error, Fault) else error.api_status) != 503
            raise
        finally:
            self._admission.leave(answered=answered)
        self._outages.answered(_OVERLOAD)


@dataclass(slots=True)
class _Subject:
    """What is known of a request while it is answered.

    :ivar work: what it needs of other services, once that is known; None: nothing.
    :ivar headers: of the answer, whatever it is.
    """

    work: Work | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


def _fault(request: Request, fault: Fault) -> Reply:
    """The answer, in the format of the called API: Keystone's for the identity endpoints, nova's for all others."""
    shown = fault
    if request.segments[:1] == ("identity",):
        shown = IdentityFault(fault.code, fault.message, fault.headers)
    return Reply(fault.code, shown.body(), fault.headers, fault if fault.door else None)
