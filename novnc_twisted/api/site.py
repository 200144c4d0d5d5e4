"""The factory that listens: wire requests to the application, and a log without secrets."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPFactory
from twisted.web.http import Request as WebRequest

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.forwarded import UNKNOWN, Network, networks
from novnc_twisted.access.tokens import scrub
from novnc_twisted.api import probes
from novnc_twisted.api.app import Application
from novnc_twisted.api.auth import IAuth
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.channel import IDLE_TIMEOUT, APIChannel
from novnc_twisted.api.faults import Door, Fault
from novnc_twisted.api.read_request import read_request
from novnc_twisted.api.request import Reply
from novnc_twisted.api.web_request import APIRequest
from novnc_twisted.events.log import EventLog
from novnc_twisted.events.records import Observer, RequestRefused
from novnc_twisted.frontend.refusals import limits_observer
from novnc_twisted.frontend.unreadable import UnreadableAddresses
from novnc_twisted.messaging.interfaces import ITransport

MAX_CONNECTIONS = 1000
"""Connections at a time, where no other number is given."""

_SECRET_SEGMENT = "os-console-auth-tokens"  # noqa: S105 - the segment before the secret
_MAX_LOGGED = 300


class APISite(HTTPFactory):
    """Listens for the API's clients.

    :param reactor: tells the time of the deadlines.
    :param application: answers.
    :param trusted_proxies: whose X-Forwarded-For and X-Forwarded-Proto are believed.
    :param connection_limits: how many connections there may be; default: :data:`MAX_CONNECTIONS`.
    :param observer: called with each event (see :mod:`novnc_twisted.events`); default: a log of its own.
    """

    name = "consoleapi"
    protocol = APIChannel  # type: ignore[assignment]
    _logger = Logger()

    def __init__(
        self,
        reactor: Any,
        application: Application,
        trusted_proxies: Sequence[Network] = (),
        connection_limits: ConnectionLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(timeout=IDLE_TIMEOUT, reactor=reactor)
        self._trusted = tuple(trusted_proxies)
        self._unreadable = UnreadableAddresses(reactor)
        self._application = application
        self._channels: set[APIChannel] = set()
        self._log = EventLog(reactor) if observer is None else None
        self.observer: Observer = observer or self._log or EventLog(reactor)
        if connection_limits is None:
            limits = limits_observer(self.name, self.observer)
            connection_limits = ConnectionLimits(MAX_CONNECTIONS, trusted=self._trusted, observer=limits)
        self.connection_limits = connection_limits

    def startFactory(self) -> None:
        """See Factory; no access log of twisted.web's, which would hold tokens, and no timer for it."""

    def stopFactory(self) -> None:
        """See Factory; nobody waits on a connection that is not served any more."""
        if self._log is not None:
            self._log.stop()
        for channel in list(self._channels):
            channel.close_when_idle()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See Factory; None where there are too many connections."""
        slot = self.connection_limits.admit(getattr(addr, "host", ""))
        return None if slot is None else self.build(addr, slot)

    def build(self, addr: IAddress | None, slot: ConnectionSlot) -> Any:
        """A channel for a connection that has its slot already."""
        channel: Any = super().buildProtocol(addr)
        channel.slot = slot
        self._channels.add(channel)
        return channel

    def gone(self, channel: APIChannel) -> None:
        """A connection ended."""
        self._channels.discard(channel)
        channel.slot.release()

    def log(self, request: WebRequest) -> None:
        """See HTTPFactory: one line without query, header or token; none for a health check that succeeded."""
        if getattr(request, "probe", False) and request.code < 400:
            return
        self._logger.info(
            "{client} {method} {path} {status}",
            client=getattr(request, "comes_from", "") or getattr(request.client, "host", "unix"),
            method=request.method.decode("ascii", "replace")[:20],
            path=loggable(request.path),
            status=request.code,
        )

    def received(self, web_request: APIRequest) -> None:
        """Answer a request that is there whole; a client that leaves ends the work."""
        work = Deferred.fromCoroutine(self._answer(web_request))
        left = web_request.notifyFinish()
        left.addErrback(lambda _: work.cancel())

        def failed(failure: Failure) -> None:
            if not failure.check(CancelledError):
                self._logger.failure("A request could not be answered", failure)
                web_request.channel.loseConnection()

        work.addErrback(failed)

    async def _answer(self, web_request: APIRequest) -> None:
        try:
            request = read_request(web_request, self._trusted)
        except Fault as fault:
            # Who sends this is no client of ours, or what stands between reads it differently.
            web_request.channel.close_behind()
            reply = Reply(fault.code, fault.body(), fault.headers, fault)
        else:
            web_request.comes_from = request.client
            if request.client == UNKNOWN:
                self._unreadable.warn(getattr(web_request.client, "host", ""), request.headers["x-forwarded-for"])
            web_request.probe = probes.is_probe(request)
            reply = probes.answer(request) or await self._application.answer(request)
        if reply.refused is not None:
            self.report(reply.refused, web_request.comes_from or getattr(web_request.client, "host", ""))
        web_request.send(reply)

    def report(self, fault: Fault, address: str) -> None:
        """Report a request that was refused before the API looked at what it asks for."""
        cause, option, severe = fault.door or Door("BadRequest")
        self.observer(
            RequestRefused(
                service=self.name,
                cause=cause,
                address=address,
                detail=fault.message.removesuffix("."),
                option=option,
                status=fault.code,
                severe=severe,
            )
        )


def make_site(
    reactor: Any,
    *,
    consoleauth: IConsoleAuthAPI,
    compute: IComputeAPI,
    transport: ITransport,
    auth: IAuth,
    trusted_proxies: Sequence[str] = (),
    connection_limits: ConnectionLimits | None = None,
    observer: Observer | None = None,
    now: Callable[[], float] = time.time,
) -> APISite:
    """The Compute API with its small identity, ready to listen.

    :param reactor: tells the time (IReactorTime).
    :param consoleauth: a :class:`novnc_twisted.consoleauth.rpcapi.ConsoleAuthAPI`.
    :param compute: a :class:`novnc_twisted.compute.rpcapi.ComputeAPI`.
    :param transport: for ``os-services`` and the identity's key.
    :param auth: :class:`~novnc_twisted.api.auth.NoAuth` or :class:`~novnc_twisted.api.auth.HTTPBasic`.
    :param trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
    :param now: Unix time in seconds.
    :param connection_limits: how many connections there may be; default: :data:`MAX_CONNECTIONS`.
    :param observer: called with each event (see :mod:`novnc_twisted.events`); default: a log of its own.
    :raises ValueError: for a trusted proxy that is no address or network.
    """
    application = Application(
        reactor, consoleauth=consoleauth, compute=compute, transport=transport, auth=auth, now=now
    )
    return APISite(reactor, application, networks(trusted_proxies), connection_limits, observer)


def loggable(path: bytes) -> str:
    """A path for the log: what follows the name of the tokens' resource hidden, bounded, no control characters."""
    segments = scrub(path.decode("ascii", "replace")).split("/")
    for index, segment in enumerate(segments):
        if _SECRET_SEGMENT in unquote(segment).lower():
            segments[index + 1 :] = ["***"] * (index + 1 < len(segments))
            break
    text = "/".join(segments)[:_MAX_LOGGED]
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
