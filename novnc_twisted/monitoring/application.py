"""The HTTP resources of monitoring: ``/readyz`` and ``/metrics``.  The HTTP server itself answers ``/healthz``."""

from collections.abc import Awaitable, Callable

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Router
from novnc_twisted.monitoring.exposition import CONTENT_TYPE, exposition
from novnc_twisted.monitoring.status import Status


class MonitoringApplication:
    """Answers the requests on the monitoring port.

    :param status: returns the status of this command.
    """

    def __init__(self, status: Callable[[], Awaitable[Status]]) -> None:
        self._status = status
        self._router = Router([self])

    def routes(self) -> list[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "readyz", self._ready), ("GET", "metrics", self._metrics)]

    async def answer(self, request: Request) -> Response:
        """See IApplication."""
        try:
            handler, _ = self._router.match(request.method, request.segments)
            return await handler()
        except HTTPError as error:
            return self.error_response(error)

    def error_response(self, error: HTTPError) -> Response:
        """See IApplication."""
        return Response(error.status, {"error": error.message}, error.headers)

    async def _ready(self) -> Response:
        status = await self._status()
        body = {
            "ready": status.ready,
            "state": status.state,
            "missing": sorted(status.missing),
            "reasons": dict(status.missing),
        }
        return Response(200 if status.ready else 503, body)

    async def _metrics(self) -> Response:
        status = await self._status()
        return Response(200, exposition(status.samples), content_type=CONTENT_TYPE)
