"""Runs the services of a command in one process: starts them, reloads them, and ends them in phases."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from novnc_twisted._version import __version__
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.service.audit import open_trail
from novnc_twisted.service.context import Context, Start
from novnc_twisted.service.exits import START_FAILED, StartFailed, Unusable, exit_with, reason
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.lifecycle import CommandService, stop
from novnc_twisted.service.notify import notify, stopping
from novnc_twisted.service.nova_backend import uses_nova
from novnc_twisted.service.peers import Peers
from novnc_twisted.service.reconfiguration import Changes, Reconfiguration
from novnc_twisted.service.shutdown import Phase
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.tls_options import usable
from novnc_twisted.service.token_plugin_backend import uses_plugin

if TYPE_CHECKING:
    from novnc_twisted.events import Observer
    from novnc_twisted.monitoring import Status
    from novnc_twisted.service.lost_sessions import LostSessions


class ConsoleService(CommandService):
    """Runs the services of a command in this process.

    :ivar drain_timeout: the option ``drain_timeout``, in seconds; a reload may change it.
    :ivar configuration: reads the options again at a reload; None: a reload does not change options.
    :ivar reports_changes: whether a reload logs which options have changed.  False in a worker, because the
        supervisor logs them.
    :ivar on_lead: called when ``leads`` becomes True (see CommandService), to accept connections.
    :ivar on_ready: called when all services have started.
    :ivar on_failure: called with the error if a service could not start; the process then ends.
    """

    log = Logger()

    def __init__(self, command: str, context: Context, starts: list[Start], warnings: list[str]) -> None:
        """:param starts: the start function of each service."""
        super().__init__(context.reactor, warnings)
        self._command = command
        self._context = context
        self._starts = starts
        self._starting: list[Deferred[Any]] = []
        self._failed = False
        self._started = False
        self.drain_timeout = context.shutdown.drain
        self.configuration: Reconfiguration | None = None
        self.reports_changes = True
        self.on_lead: Callable[[], None] = self.accept
        self.on_ready: Callable[[], None] = self._log_ready
        self.on_failure: Callable[[Exception], None] = self._log_failure

    def end_with(self, older: Predecessors) -> None:
        """Make the shutdown of the main process wait until the older processes have ended.

        :param older: the processes that were replaced by earlier take-overs, and still have sessions.
        """
        shutdown = self._context.shutdown
        # Added to two phases: WAIT_FOR_SESSIONS is skipped without drain_timeout, and its time may be over before the
        # older processes have ended.
        for phase in (Phase.WAIT_FOR_SESSIONS, Phase.END_SESSIONS):
            shutdown.add(phase, lambda: older.gone() if self.is_main else None)

    def begin(self) -> None:
        """Start the services at the same time.  Each start waits only for what it needs, such as Redis.

        The ``last_starts`` of the context follow when these starts are done and this process leads.
        """
        starts: list[Start] = [self._context.transport.start, *self._starts]
        if self._context.trail is not None:
            # First, so that the audit trail is open when the other starts report events.  open_trail() awaits nothing,
            # so it is done before the next start begins.
            starts.insert(0, partial(open_trail, self._context.trail))
        self._starting = [Deferred.fromCoroutine(self._start(start)) for start in starts]
        DeferredList(self._starting).addCallback(self._all_started)

    def _all_started(self, _: object) -> None:
        if self.running and not self._failed:
            self._started = True
            if self.leads:
                self._start_last()
            elif self.predecessor is not None:
                self.predecessor.ready()

    def lead(self) -> None:
        """See CommandService."""
        self.on_lead()
        if self._started:
            self._start_last()

    def _start_last(self) -> None:
        last = [Deferred.fromCoroutine(self._start(start)) for start in self._context.last_starts]
        self._starting += last
        DeferredList(last).addCallback(self._is_ready)

    def _is_ready(self, _: object) -> None:
        if self.running and not self._failed:
            self._set_state("running")
            self.on_ready()

    def _log_ready(self) -> None:
        self.log.info("{command} is ready (novnc_twisted {version})", command=self._command, version=__version__)
        notify("READY=1")

    async def _start(self, start: Any) -> None:
        try:
            await start()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        # Only the first failure is the reason: later ones result from the stop.
        if self.running and not self._failed:
            self._failed = True
            self.on_failure(StartFailed(error) if isinstance(error, TopicInUse) else error)
            stop(self._context.reactor)

    def accept(self) -> None:
        """Accept connections from now on."""
        try:
            self._context.gate.open()
        except Exception as error:
            self._fail(error)

    def _log_failure(self, error: Exception) -> None:
        """Log why the start failed, or let the predecessor log it; set the exit code of the process."""
        if self.predecessor is not None and not self.leads:
            self.predecessor.failed(reason(error))  # the previous process continues, and logs the reason
            exit_with(getattr(error, "exit_code", START_FAILED))
            return
        if self._context.conf.debug:
            self.log.failure("{command} could not start", command=self._command)
        self.log.critical("{command} could not start: {reason}", command=self._command, reason=reason(error))
        exit_with(getattr(error, "exit_code", START_FAILED))

    def reload(self, files: list[FlagFile] | None = None) -> Deferred[str | None]:
        """See CommandService.  Reload the mutable options, and the certificates and keys for new connections.

        The file of the audit trail is always opened again, even if the reload fails.
        """
        if self._context.trail is not None:
            self._context.trail.reopen()
        try:
            # All files are read before any of them is used, so that an error changes nothing.
            functions = self.renewals()
            changes = self.configuration.read(files) if self.configuration is not None else None
        except Unusable as error:
            self.log.error("reload failed, the previous files stay in use: {error}", error=error)
            failed: str | None = str(error)
        else:
            failed = None
            for use in functions:
                use()
            # renewals() returns one function for each TLS configuration, and one for each entry of Context.renewals.
            # Those of Context.renewals read files of token plug-ins, not certificates.
            certificates = len(functions) > len(self._context.renewals)
            self.log.info(
                "reload: {what}",
                what="certificates were read again" if certificates else "no certificate to read again",
            )
            if changes is not None and self.configuration is not None:
                self._change(self.configuration, changes, given=files is not None)
        return succeed(failed)

    def _change(self, configuration: Reconfiguration, changes: Changes, *, given: bool) -> None:
        for use in self._context.changes:
            use(changes.conf)
        self.drain_timeout = changes.conf.drain_timeout
        # A shutdown that is going on keeps its time limit, which was sent to systemd and written to the log.
        if self.running:
            self._context.shutdown.drain = self.drain_timeout
        configuration.use(changes, given=given)
        if self.reports_changes:
            configuration.report(changes)

    def renewals(self) -> list[Callable[[], None]]:
        """Read all certificates and keys again, and the files that the functions in ``Context.renewals`` read.

        :return: functions that put the new content into use.
        :raises Unusable: a file has an error; the text is one line about the first such file.
        """
        context = self._context
        upstream = context.upstream if context.upstream is not None and context.upstream.used else None
        reloaded = (context.proxies_tls, context.api_tls, upstream)
        return [
            *(usable(tls.renewal) for tls in reloaded if tls is not None),
            *(read() for read in context.renewals),
        ]

    @property
    def peers(self) -> Peers:
        """The object that sends values to the other workers of the command, and receives values from them."""
        return self._context.peers

    @property
    def events(self) -> "Observer":
        """The observer of this process, which is called with each event."""
        return self._context.observer

    def lost_sessions(self) -> "LostSessions":
        """Return the object that reports the sessions of killed workers.

        Called only in a supervisor, which builds this service but does not start it.
        """
        from novnc_twisted.service.lost_sessions import LostSessions

        context = self._context
        alone = uses_nova(self._command, context.conf) or uses_plugin(self._command, context.conf)
        transport = None if alone else context.transport
        return LostSessions(
            context.reactor, context.conf.host, context.observer, transport, context.trail, context.tables
        )

    def end(self) -> None:
        """See CommandService."""
        if self.released:
            # After a take-over, this process already waits for its sessions.  Set the limit of this wait again, because
            # drain_timeout = 0 means "no limit" in release(), but "end sessions at once" after SIGTERM.
            self._context.shutdown.wait_at_most(self.drain_timeout)
        super().end()

    def release(self) -> None:
        """See CommandService."""
        shutdown = self._context.shutdown
        self.released = shutdown.replaced = True
        shutdown.wait_at_most(self.drain_timeout or math.inf)
        stop(self._context.reactor)

    def end_now(self) -> None:
        """See CommandService."""
        self._context.shutdown.wait_at_most(0)
        stop(self._context.reactor)

    def stopService(self) -> Deferred[None]:
        """See Service.

        :return: fires when all phases of the shutdown are over, and the control socket is closed.
        """
        control = super().stopService()
        self._set_state("stopping")
        drain, sessions = self._context.shutdown.drain, len(self._context.limits)
        notify(stopping(drain))
        if drain and sessions:
            self.log.info(
                "live sessions: {sessions}; they may go on {limit}", sessions=sessions, limit=limit_in_words(drain)
            )
        return Deferred.fromCoroutine(self._stop()).addCallback(lambda _: control)

    async def _stop(self) -> None:
        for starting in self._starting:
            # The error of a cancelled start is expected, and is not logged.
            starting.addErrback(lambda _: None)
            starting.cancel()
        await self._context.shutdown.run()
        self.stop_monitoring()
        if self._context.trail is not None:
            self._context.trail.close()

    def status(self) -> "Deferred[Status]":
        """Return the metrics and the readiness of this process.  Called only if ``[monitoring] listen`` is set."""
        monitor = self._context.monitor
        if monitor is None:
            raise RuntimeError("there is no monitor")
        status: Deferred[Status] = monitor.status()
        return status

    def _set_state(self, state: str) -> None:
        if self._context.monitor is not None:
            self._context.monitor.readiness.state = state


def limit_in_words(drain: float) -> str:
    """Describe for the log how long sessions may go on."""
    if drain == math.inf:
        return "until they end; SIGTERM ends them"
    return f"for {drain:g} s (drain_timeout); a second SIGTERM ends them at once"
