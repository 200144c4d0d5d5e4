"""Turns errors into responses, and logs errors that the access log does not explain."""

from collections.abc import Awaitable
from typing import Final

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from novnc_twisted.api.errors import UNEXPECTED, error_of, fault_body
from novnc_twisted.api.outages import Outages, Work
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import Observer
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.identity.errors import keystone_body

LOG_IN: Final = Work("log-in")
"""The check of a caller's credentials."""


class Responder:
    """Turns the errors of all APIs into responses.

    :param outages: logs why requests cannot be answered.
    :param observer: called with an event for each error that has a ``reason`` (see :meth:`.HTTPError.refusal`), for
        example if the client is locked out.
    :param service: the name of this service in these events, ``consoleapi``.
    """

    _log = Logger()

    def __init__(self, outages: Outages, observer: Observer, service: str) -> None:
        self._outages = outages
        self._observer = observer
        self._service = service

    async def respond(
        self, request: Request, request_id: str, work: Work | None, answer: Awaitable[Response]
    ) -> Response:
        """Return the response of ``answer``, or the response for the error that it raises.

        :param work: the work that other services do for the request.  None: at most, they check the
            caller's credentials.
        """
        try:
            response = await answer
        except (HTTPError, Refusal) as raised:
            # Log the refusal that caused the error, if there is one, because only the refusal has the detail.
            error = raised if isinstance(raised, HTTPError) else error_of(raised)
            self.report(request, request_id, work, error, raised.__cause__ or raised)
            return self._error_response(request, error)
        except CancelledError:
            # The client has left: nobody would read a response.
            raise
        except Exception:
            self._log.failure("{id} failed", id=request_id)
            return self._error_response(request, HTTPError(500, UNEXPECTED))
        if work is not None:
            self._outages.answered(work)
        return response

    def _error_response(self, request: Request, error: HTTPError) -> Response:
        """Return an error response in Keystone's format for the identity endpoints, and in nova's for all others."""
        body = keystone_body(error) if request.segments[:1] == ("identity",) else fault_body(error)
        return Response(error.status, body, error.headers)

    def report(
        self, request: Request, request_id: str, work: Work | None, error: HTTPError, cause: BaseException
    ) -> None:
        """Report a refused request, and log the reason if the access log does not show it.

        :param cause: the exception that caused the error, usually a Refusal; if there is no such exception, the error.
        """
        event = error.refusal(self._service, request.client)
        if event is not None:
            self._observer(event)
        if error.status == 503:
            why = (cause.detail or str(cause)) if isinstance(cause, Refusal) else error.message
            # If ``work`` is None, only the check of the caller's credentials needed another service.
            self._outages.refused(why, work or LOG_IN)
        elif isinstance(cause, Refusal):
            self._log.info("{id} is refused: {refusal}", id=request_id, refusal=cause)
