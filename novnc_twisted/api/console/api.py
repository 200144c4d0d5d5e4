"""The console API: passes requests below ``/console/v1`` on to their resources."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.outages import Work
from novnc_twisted.api.responder import Responder
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource, Router
from novnc_twisted.identity.users import Caller

VERSION: Final = "v1"
"""The path segment after ``console``: the version of the API."""


class ConsoleAPI:
    """Passes each request on to its resource.

    :param admitted: counts a request as being in work, or refuses it if too many requests are in work; see
        :meth:`.ComputeAPI.admitted`.
    :ivar router: the routes below the version.
    """

    def __init__(
        self,
        responder: Responder,
        admitted: Callable[[], AbstractContextManager[None]],
        resources: Iterable[Resource],
    ) -> None:
        self.router = Router(resources)
        self._responder = responder
        self._admitted = admitted

    async def answer(
        self,
        request: Request,
        request_id: str,
        authenticate: Callable[[Request], Awaitable[Caller]],
        segments: tuple[str, ...],
    ) -> Response:
        """Return the response.

        :param authenticate: returns the caller of a request.
        :param segments: the path segments after the version, at least one.
        """
        caller = await authenticate(request)
        handler, arguments = self.router.match(request.method, segments)
        work = Work(handler.__qualname__, arguments)
        answer = self._run(handler, ConsoleCall(request, caller, partial(authenticate, request)), arguments)
        return await self._responder.respond(request, request_id, work, answer)

    async def _run(self, handler: Handler, call: ConsoleCall, arguments: tuple[str, ...]) -> Response:
        with self._admitted():
            return await handler(call, *arguments)


def version(request: Request) -> Response:
    """Answer ``GET /console/v1`` with a description of the version.  No log-in is needed."""
    return Response(200, {"version": _description(request)})


def choices(request: Request) -> Response:
    """Answer a request for an unknown version with status 300 and a description of the only version.

    The Compute API also answers with status 300.
    """
    return Response(300, {"choices": [_description(request)]})


def _description(request: Request) -> dict[str, Any]:
    if not request.reads:
        raise HTTPError(405, "The method is not allowed for this resource.", (("Allow", "GET, HEAD"),))
    link = {"rel": "self", "href": f"{request.base_url}/console/{VERSION}/"}
    return {"id": "v1.0", "status": "CURRENT", "links": [link]}
