"""The Compute API below ``/v2.1`` and ``/v2``: reads microversion and project, and calls the resource in the path."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.api import microversion
from novnc_twisted.api.admission import DEADLINE, Admission
from novnc_twisted.api.call import Call
from novnc_twisted.api.errors import overloaded
from novnc_twisted.api.outages import Outages, Work
from novnc_twisted.api.responder import Responder
from novnc_twisted.errors import Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND, Handler, Resource, Router
from novnc_twisted.identity.users import Caller

VERSIONS: Final = ("v2.1", "v2")
"""The first path segments of the API.  ``v2`` ignores microversions and unknown fields of bodies."""

OVERLOAD: Final = f"more requests come than can be answered within {DEADLINE:g} s"
"""Why requests are refused with 429 under load."""

_OVERLOAD = Work("overload")


class ComputeAPI:
    """Passes requests on to their resources, and limits how many are in work.

    :ivar router: the routes below the version.
    """

    def __init__(
        self, clock: IReactorTime, outages: Outages, responder: Responder, resources: Iterable[Resource]
    ) -> None:
        self.router = Router(resources)
        self._outages = outages
        self._responder = responder
        self._admission = Admission(clock)

    async def answer(
        self, request: Request, request_id: str, caller: Caller, version: str, segments: tuple[str, ...]
    ) -> Response:
        """Return the response.  Unless the version is ``v2``, add the headers of the microversion.

        :param version: the first segment of the path, one of :data:`VERSIONS`.
        :param segments: the path segments after the version, at least one.
        """
        legacy = version == "v2"
        # As in nova, the response to a malformed or unsupported version has the headers of the default version.
        wanted = microversion.MINIMUM
        try:
            if not legacy:
                wanted = microversion.requested(request)
            project, segments = self._split_project(caller, segments)
            handler, arguments = self.router.match(request.method, segments)
        except HTTPError as error:
            error.headers += () if legacy else microversion.headers(wanted)
            raise
        call = Call(request, caller, wanted, legacy, f"/{version}{project}", project)
        work = Work(handler.__qualname__, arguments)
        response = await self._responder.respond(request, request_id, work, self._run(handler, call, arguments))
        return response if legacy else response.with_headers(*microversion.headers(wanted))

    def _split_project(self, caller: Caller, segments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """Return the part of the path that names a project, as ``/PROJECT`` or empty, and the segments after it.

        :raises HTTPError: 400: the path names a project that is not the caller's; 404: the first segment names a
            resource that only nova has.
        """
        # The project may precede the resource in the path (/v2.1/PROJECT/servers).  nova required this before
        # microversion 2.18.
        if segments[0] in self.router.names or len(segments) == 1:
            return "", segments
        project = segments[0]
        if caller.project not in (None, project):
            # A segment that begins with os- is not a project, but a resource that only nova has.  For example, Horizon
            # requests os-simple-tenant-usage/PROJECT.
            if project.startswith("os-"):
                raise HTTPError(404, NOT_FOUND)
            raise HTTPError(
                400,
                f"Malformed request URL: URL's project_id '{project[:100]}' doesn't match Context's project_id "
                f"'{caller.project}'",
            )
        return f"/{quote(project, safe='')}", segments[1:]

    async def _run(self, handler: Handler, call: Call, arguments: tuple[str, ...]) -> Response:
        with self.admitted():
            return await handler(call, *arguments)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request as being in work until the block ends; for requests that call other services.

        :raises HTTPError: 429: too many requests are in work, so the new one could not be answered in time.
        """
        wait = self._admission.admit()
        if wait:
            self._outages.refused(OVERLOAD, _OVERLOAD, status=429, quiet=10.0)
            raise overloaded(wait)
        answered = False
        try:
            yield
            answered = True
        except (HTTPError, Refusal) as error:
            # 503 usually means that a service did not answer in time.  All other errors are answers of working
            # services.
            answered = (error.status if isinstance(error, HTTPError) else error.api_status) != 503
            raise
        finally:
            self._admission.leave(answered=answered)
        self._outages.answered(_OVERLOAD)
