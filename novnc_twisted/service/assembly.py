"""A command's service: the transport, the parts on it, and an orderly end."""

import signal
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.logger import Logger

from novnc_twisted._version import __version__
from novnc_twisted.messaging import transport_from_url
from novnc_twisted.service import parts
from novnc_twisted.service.flagfile import Unusable
from novnc_twisted.service.parts import Context, Part

COMMANDS = {
    "consoleauth": (parts.consoleauth,),
    "consolecompute": (parts.consolecompute,),
    "consoleapi": (parts.consoleapi,),
    "novncproxy": (parts.novncproxy,),
    "xvpvncproxy": (parts.xvpvncproxy,),
    "console": (parts.consoleauth, parts.consolecompute, parts.consoleapi, parts.novncproxy, parts.xvpvncproxy),
}

STOP_TIMEOUT = 4.0
"""Seconds until a part that does not end is left behind: the process is gone within 5 s of SIGTERM."""


def assemble(command: str, conf: Any, warnings: list[str]) -> "Console":
    """Build a command's service; sockets are bound here, so that a port in use is known before the log begins.

    :raises Unusable: with one line that names what is wrong.
    """
    from twisted.internet import reactor

    url = conf.transport_url
    if url.startswith("memory:") and command != "console":
        raise Unusable(
            f"transport_url: memory:// is for twistd console; {command} needs redis://, where the others are"
        )
    try:
        transport = transport_from_url(reactor, url)
    except ValueError as error:
        raise Unusable(f"transport_url: {error}") from None
    context = Context(reactor, conf, transport)
    return Console(command, context, [build(context) for build in COMMANDS[command]], warnings)


class Console(Service):
    """Starts the parts side by side; ends them, then the transport."""

    log = Logger()

    def __init__(self, command: str, context: Context, built: list[Part], warnings: list[str]) -> None:
        self._command = command
        self._context = context
        self._parts = built
        self._warnings = warnings
        self._starting: list[Deferred[Any]] = []

    def startService(self) -> None:
        """Start once the reactor runs and has installed its signal handlers, which ours then replace."""
        super().startService()
        self._context.reactor.callWhenRunning(self._context.reactor.callLater, 0, self._begin)

    def _begin(self) -> None:
        """Start the parts; a peer that is down is waited for by the part that needs it."""
        if not self.running:
            return
        for warning in self._warnings:
            self.log.warn("{warning}", warning=warning)
        self._exit_with_0()
        self._starting = [
            Deferred.fromCoroutine(self._start(start))
            for start in [self._context.transport.start, *(part.start for part in self._parts)]
        ]
        DeferredList(self._starting).addCallback(
            lambda _: self.log.info(
                "{command} is ready (novnc_twisted {version})", command=self._command, version=__version__
            )
        )

    async def _start(self, start: Any) -> None:
        try:
            await start()
        except Exception:
            self.log.failure("A part of the service could not start; the process ends")
            self._context.reactor.stop()

    def stopService(self) -> Deferred[None]:
        """End every session, then withdraw from the others."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for starting in self._starting:
            starting.addErrback(lambda _: None)
            starting.cancel()
        ending = DeferredList([ensureDeferred(self._end(part.stop)) for part in self._parts])
        await ending.addTimeout(STOP_TIMEOUT, self._context.reactor, lambda result, _: None)
        await self._end(self._context.transport.stop)

    async def _end(self, stop: Any) -> None:
        try:
            await stop()
        except Exception:
            self.log.failure("A part of the service could not stop")

    def _exit_with_0(self) -> None:
        """An ordered stop is a success: twistd would end by the signal itself, which supervisors count as a crash."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._context.reactor.callFromThread(self._context.reactor.stop))
