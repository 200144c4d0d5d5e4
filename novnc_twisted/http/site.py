"""The HTTP server's factory: accepts connections, passes requests to an application, and logs them without secrets."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPFactory

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.forwarded import UNKNOWN, Network
from novnc_twisted.events.records import Observer
from novnc_twisted.http.access_log import LoggedPaths
from novnc_twisted.http.channel import IDLE_TIMEOUT, LimitedChannel
from novnc_twisted.http.checks import is_check, respond_to_check
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.read_request import read_request
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.unreadable_addresses import UnreadableAddresses


class IApplication(Protocol):
    """The application that a :class:`Site` serves."""

    async def answer(self, request: Request) -> Response:
        """Return the response to a request; must not raise an exception."""
        ...

    def error_response(self, error: HTTPError) -> Response:
        """Return the response to a request that is malformed or too large."""
        ...


class Site(HTTPFactory):
    """Listens for HTTP clients.

    :ivar application: answers the requests.
    :ivar connection_limits: counts the connections, and decides whether a new connection may stay.
    :ivar observer: called with an event for each request that is refused before the application handles it.
    :ivar connections: the channels of the open connections.
    :ivar answers_first_requests: whether two kinds of requests are still answered after the site has stopped listening:
        a request that is arriving, and the first request of a connection that has sent none yet.  The API sets this
        after a take-over: clients do not know that another process has replaced the one to which they connected.
    """

    answers_first_requests = False

    protocol = LimitedChannel  # type: ignore[assignment]
    _logger = Logger()

    def __init__(
        self,
        reactor: Any,
        application: IApplication,
        *,
        connection_limits: ConnectionLimits,
        observer: Observer,
        trusted_proxies: Sequence[Network] = (),
        logged_paths: LoggedPaths | None = None,
        name: str = "http",
    ) -> None:
        """Prepare to listen.

        :param reactor: gives the time of the deadlines (IReactorTime).
        :param observer: see the attribute.
        :param trusted_proxies: the proxies whose X-Forwarded-For, -Proto and -Prefix are accepted.
        :param logged_paths: shows paths in the log; default: all segments are hidden.
        :param name: the server's name in events.
        """
        super().__init__(timeout=IDLE_TIMEOUT, reactor=reactor)
        self.name = name
        self.application = application
        self.connection_limits = connection_limits
        self.observer = observer
        self._trusted = tuple(trusted_proxies)
        self._logged_paths = logged_paths or LoggedPaths()
        self._unreadable = UnreadableAddresses(reactor)
        self.connections: set[LimitedChannel] = set()
        self._waiting: list[Deferred[None]] = []

    def trust(self, trusted_proxies: Sequence[Network]) -> None:
        """Replace the trusted proxies, from the next request on."""
        self._trusted = tuple(trusted_proxies)

    def startFactory(self) -> None:
        """See Factory.  Do not open twisted.web's access log (it would contain tokens).  Start no timer for the log."""

    def stopFactory(self) -> None:
        """See Factory.  Close each connection after its present response.

        Streams, and connections without a complete request, are closed now; see :attr:`answers_first_requests` for the
        exceptions.
        """
        for channel in list(self.connections):
            channel.close_when_idle(first_request=self.answers_first_requests)

    def empty(self) -> Deferred[None]:
        """Return a Deferred that fires when no connection is open."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._wake()
        return waiting

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See Factory.  Return None if there are too many connections."""
        return self.connection_limits.admit_and_build(getattr(addr, "host", ""), partial(self.build, addr))

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> Any:
        """Return a channel for a connection that already has its slot."""
        channel: Any = super().buildProtocol(addr)
        channel.slot = slot
        return channel

    def channel_closed(self, channel: LimitedChannel) -> None:
        """Release the slot of a connection that has ended."""
        self.connections.discard(channel)
        channel.slot.release()
        self._wake()

    def _wake(self) -> None:
        if not self.connections:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    def report(self, error: HTTPError, address: str) -> None:
        """Notify the observer of a request that is refused before the application handles it."""
        event = error.refusal(self.name, address)
        if event is not None:
            self.observer(event)

    def log(self, request: Any) -> None:
        """See HTTPFactory.  Log one line without secrets; no line for a successful health check."""
        if getattr(request, "check", False) and request.code < 400:
            return
        self._logger.info(
            "{client} {method} {path} {status}",
            client=getattr(request, "client_address", "") or getattr(request.client, "host", "unix"),
            method=request.method.decode("ascii", "replace")[:20],
            path=self._logged_paths.show(request.path),
            status=request.code,
        )

    def request_received(self, wire_request: Any) -> None:
        """Answer a complete request.  If the client leaves, the work is cancelled."""
        work = Deferred.fromCoroutine(self._answer(wire_request))
        wire_request.notifyFinish().addErrback(lambda _: work.cancel())

        def failed(failure: Failure) -> None:
            if not failure.check(CancelledError):
                self._logger.failure(
                    "a request failed because of an error in this program; its connection is closed", failure
                )
                wire_request.channel.loseConnection()

        work.addErrback(failed)

    async def _answer(self, wire_request: Any) -> None:
        try:
            request = read_request(wire_request, self._trusted)
        except HTTPError as error:
            # A proxy on the way may have read the malformed request differently, so read no more from this connection.
            wire_request.channel.close_after_response()
            self.report(error, getattr(wire_request.client, "host", ""))
            response = self.application.error_response(error)
        else:
            wire_request.client_address = request.client
            wire_request.check = is_check(request)
            if request.client == UNKNOWN:
                self._unreadable.warn(getattr(wire_request.client, "host", ""), request.headers["x-forwarded-for"])
            response = respond_to_check(request) or await self.application.answer(request)
        wire_request.send(response)
