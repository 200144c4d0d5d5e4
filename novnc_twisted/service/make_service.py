"""A command's service: the transport, the parts on it, and an orderly end."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from novnc_twisted._version import __version__
from novnc_twisted.access import Failures
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.service import builders, descriptors, settings
from novnc_twisted.service.builders import Context, Start
from novnc_twisted.service.bus import make_transport
from novnc_twisted.service.checks import examine
from novnc_twisted.service.clock import use_monotonic_clock
from novnc_twisted.service.configuration import in_memory
from novnc_twisted.service.connections import Connections
from novnc_twisted.service.credentials import Upstream
from novnc_twisted.service.exits import BAD_CONFIGURATION, START_FAILED, StartFailed, Unusable, exit_with, reason
from novnc_twisted.service.lifecycle import Orderly, stop
from novnc_twisted.service.notify import notify
from novnc_twisted.service.shutdown import Phase, Shutdown
from novnc_twisted.service.sockets import ORDER, Sockets
from novnc_twisted.service.tls_options import TLSOptions, usable
from novnc_twisted.session import SessionLimits

COMMANDS = {
    "consoleauth": (builders.consoleauth,),
    "consolecompute": (builders.consolecompute,),
    "consoleapi": (builders.consoleapi,),
    "novncproxy": (builders.novncproxy,),
    "xvpvncproxy": (builders.xvpvncproxy,),
    "console": (
        builders.consoleauth,
        builders.consolecompute,
        builders.consoleapi,
        builders.novncproxy,
        builders.xvpvncproxy,
    ),
}


def check(command: str, paths: Sequence[str]) -> int:
    """Print a line for each error and warning about the configuration; the exit code of ``--check-config``."""
    from twisted.internet import reactor

    found = examine(command, part_names(command), paths, reactor)
    for level, lines in (("error", found.errors), ("warning", found.warnings + found.logged_later)):
        for line in lines:
            print(f"{command}: {level}: {line}")
    return BAD_CONFIGURATION if found.errors else 0


def assemble(command: str, paths: Sequence[str]) -> IService:
    """Build a command's service; sockets are bound here, so that a port in use is known before the log begins.

    :param paths: the files of the options; workers are given what was read.
    :raises Unusable: with one line that names what is wrong.
    """
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    found = examine(command, part_names(command), paths, reactor)
    if found.errors:
        raise Unusable(found.errors[0])
    conf, warnings = found.conf, found.warnings
    count = settings.worker_count(command, conf)
    limit = descriptors.raise_limit()
    if {"novncproxy", "xvpvncproxy"} & set(_listening(command)):
        api = "consoleapi" in _listening(command)
        warnings = [
            *warnings,
            *descriptors.too_few(limit, conf.console.max_sessions),
            *descriptors.too_many_connections(limit, conf.console.max_connections, with_api=api),
        ]
    sockets = Sockets.of_environment(_listening(command))
    alone = build(command, conf, reactor, sockets, warnings)
    if count == 1:
        return alone
    # What was built has shown that every option is good; the workers build it again, for themselves.
    from novnc_twisted.service.workers import Supervisor

    files = [in_memory(file) for file in found.files]
    return Supervisor(reactor, command, count, files, sockets, warnings, check=alone.renewals)


def build(command: str, conf: Any, reactor: Any, sockets: Sockets, warnings: list[str]) -> "Console":
    """The service of a command in this process, its sockets bound where they were not passed.

    :raises Unusable: with one line that names what is wrong.
    """
    transport = make_transport(command, conf, reactor)
    options = conf.console
    listening = set(_listening(command))
    proxies = bool(listening & {"novncproxy", "xvpvncproxy"})
    shutdown, connections = Shutdown(reactor), Connections.of(conf, reactor, listening)
    shutdown.add(Phase.STOP_SERVICES, connections.events.stop)
    shutdown.add(Phase.DISCONNECT, transport.stop)
    context = Context(
        reactor,
        conf,
        transport,
        sockets,
        shutdown,
        SessionLimits(options.max_sessions, options.max_sessions_per_server),
        Failures(options.max_failures_per_minute, reactor.seconds),
        connections,
        TLSOptions.of_proxies(conf).load() if proxies else None,
        TLSOptions.of_api(conf).load() if "consoleapi" in listening else None,
        Upstream(conf) if proxies else None,
    )
    return Console(command, context, [part(context) for part in COMMANDS[command]], warnings)


def part_names(command: str) -> tuple[str, ...]:
    """Names of the command's parts."""
    return tuple(part.__name__ for part in COMMANDS[command])


def _listening(command: str) -> tuple[str, ...]:
    """Names of the command's parts that listen."""
    return tuple(name for name in part_names(command) if name in ORDER)


class Console(Orderly):
    """Starts the services of a command side by side, and ends them in phases."""

    log = Logger()

    def __init__(self, command: str, context: Context, starts: list[Start], warnings: list[str]) -> None:
        """:param starts: what starts each service."""
        super().__init__(context.reactor, warnings)
        self._command = command
        self._context = context
        self._starts = starts
        self._starting: list[Deferred[Any]] = []
        self._failed = False
        self.on_ready: Callable[[], None] = self._say_ready
        self.on_reloaded: Callable[[str | None], None] = lambda failed: None
        self.on_failure: Callable[[Exception], None] = self._say_failure

    def begin(self) -> None:
        """Start the parts; a peer that is down is waited for by the part that needs it."""
        self._starting = [
            Deferred.fromCoroutine(self._start(start)) for start in [self._context.transport.start, *self._starts]
        ]
        DeferredList(self._starting).addCallback(self._all_started)

    def _all_started(self, _: object) -> None:
        if self.running and not self._failed:
            self.on_ready()

    def _say_ready(self) -> None:
        self.log.info("{command} is ready (novnc_twisted {version})", command=self._command, version=__version__)
        notify("READY=1")

    async def _start(self, start: Any) -> None:
        try:
            await start()
        except Exception as error:
            if self.running and not self._failed:
                self._failed = True
                self.on_failure(StartFailed(error) if isinstance(error, TopicInUse) else error)
                stop(self._context.reactor)

    def _say_failure(self, error: Exception) -> None:
        """Log why the start failed; the process ends, and not with success."""
        if self._context.conf.debug:
            self.log.failure("{command} could not start", command=self._command)
        self.log.critical("{command} could not start: {reason}", command=self._command, reason=reason(error))
        exit_with(getattr(error, "exit_code", START_FAILED))

    def reload(self) -> Deferred[str | None]:
        """Read certificates and keys again, for connections that come from now on; a bad one changes nothing."""
        try:
            renewals = self.renewals()
        except Unusable as error:
            self.log.error("reload failed, what was read before stays in use: {error}", error=error)
            failed: str | None = str(error)
        else:
            failed = None
            for use in renewals:
                use()
            self.log.info(
                "SIGHUP: {what}", what="certificates were read again" if renewals else "nothing to read again"
            )
        self.on_reloaded(failed)
        return succeed(failed)

    def renewals(self) -> list[Callable[[], None]]:
        """Read all certificates and keys; each result puts what it has read into use.

        :raises Unusable: with one line about the first that is bad.
        """
        context = self._context
        upstream = context.upstream if context.upstream is not None and context.upstream.used else None
        reloaded = (context.proxies_tls, context.api_tls, upstream)
        return [usable(tls.renewal) for tls in reloaded if tls is not None]

    def stopService(self) -> Deferred[None]:
        """See Service; fires when all phases of the shutdown are over."""
        control = super().stopService()
        notify("STOPPING=1")
        return Deferred.fromCoroutine(self._stop()).addCallback(lambda _: control)

    async def _stop(self) -> None:
        for starting in self._starting:
            starting.addErrback(lambda _: None)
            starting.cancel()
        await self._context.shutdown.run()
