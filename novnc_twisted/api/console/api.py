"""The console API: the resource that answers a path below ``/console/v1``."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Final

from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.outages import Work
from novnc_twisted.api.responder import Responder
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource, Router
from novnc_twisted.identity.users import Caller

VERSION: Final = "v1"
"""The segment after ``console`` below which the API stands."""


class ConsoleAPI:
    """Finds the resource for a request.

    :param admitted: counts a request in work, and refuses it under load; see :meth:`.ComputeAPI.admitted`.
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

    async def answer(self, request: Request, request_id: str, caller: Caller, segments: tuple[str, ...]) -> Response:
        """Return the response.

        :param segments: those of the path after the version, at least one.
        """
        handler, arguments = self.router.match(request.method, segments)
        work = Work(handler.__qualname__, arguments)
        answer = self._run(handler, ConsoleCall(request, caller), arguments)
        return await self._responder.respond(request, request_id, work, answer)

    async def _run(self, handler: Handler, call: ConsoleCall, arguments: tuple[str, ...]) -> Response:
        with self._admitted():
            return await handler(call, *arguments)


def version(request: Request) -> Response:
    """Answer ``GET /console/v1`` with a description of the version, which needs no log-in."""
    if not request.reads:
        raise HTTPError(405, "The method is not allowed for this resource.", (("Allow", "GET, HEAD"),))
    link = {"rel": "self", "href": f"{request.base_url}/console/{VERSION}/"}
    return Response(200, {"version": {"id": "v1.0", "status": "CURRENT", "links": [link]}})
