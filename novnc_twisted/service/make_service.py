"""Makes the service of a command from its configuration files."""

from collections.abc import Sequence
from socket import socket
from typing import TYPE_CHECKING, Any

from novnc_twisted.service import descriptors, settings
from novnc_twisted.service.builders import BUILDERS
from novnc_twisted.service.checks import examine
from novnc_twisted.service.clock import use_monotonic_clock
from novnc_twisted.service.commands import SERVICES, has_proxy, listening_services
from novnc_twisted.service.configuration import in_memory
from novnc_twisted.service.console_service import ConsoleService
from novnc_twisted.service.context import Context
from novnc_twisted.service.exits import BAD_CONFIGURATION, Unusable
from novnc_twisted.service.flagfile import FlagFile
from novnc_twisted.service.lifecycle import CommandService
from novnc_twisted.service.log_output import LogSettings
from novnc_twisted.service.monitoring import NAME as MONITORING
from novnc_twisted.service.monitoring import make_port, older_status
from novnc_twisted.service.reconfiguration import Reconfiguration, replaced
from novnc_twisted.service.session_tables import SessionTables
from novnc_twisted.service.sockets import SocketCopies, Sockets
from novnc_twisted.service.takeover.launch import TakeOver
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.takeover.successor import channel_to_predecessor

if TYPE_CHECKING:
    from novnc_twisted.service.takeover.successor import PredecessorChannel
    from novnc_twisted.session.shared_table import SharedTable


def check(command: str, sources: Sequence[str | FlagFile], warnings: Sequence[str] = ()) -> int:
    """Print a line for each error and warning about the configuration; return the exit code of ``--check-config``.

    :param warnings: further warnings, about the command line.
    """
    from twisted.internet import reactor

    found = examine(command, sources, reactor)
    if not any(file.faults for file in found.files):
        try:
            # Checked here only.  A start does not check log_file, because twistd --logfile may override it.
            LogSettings.of(command, found.conf).check()
        except Unusable as error:
            found.add_error(str(error))
    for level, lines in (("error", found.errors), ("warning", [*warnings, *found.warnings, *found.logged_later])):
        for line in lines:
            print(f"{command}: {level}: {line}")
    return BAD_CONFIGURATION if found.errors else 0


def make_service(command: str, sources: Sequence[str | FlagFile], warnings: Sequence[str] = ()) -> CommandService:
    """Make a command's service.  Its sockets are bound here, so that a port in use is noticed before the log begins.

    :param sources: the configuration files, and perhaps the options of the command line (a FlagFile).  Files that the
        old process of a take-over has passed replace the configuration files.  Worker processes get the content that is
        read here.
    :param warnings: further lines to log as warnings.
    :raises Unusable: the service cannot start; the text is one line with the reason.
    """
    from twisted.internet import reactor

    # Called before anything is scheduled, because existing timers would keep their times of the wall clock.
    use_monotonic_clock(reactor)
    predecessor = channel_to_predecessor()
    # The old process of a take-over passes configuration files only if it got them with a reload request.
    given = (predecessor is not None and predecessor.files) or None
    sources = replaced(sources, given)
    found = examine(command, sources, reactor)
    if found.errors:
        raise Unusable(found.errors[0])
    conf = found.conf
    count = settings.worker_count(command, conf)
    lines = [*warnings, *found.warnings, *_descriptor_warnings(command, conf)]
    sockets = _passed_sockets(command, predecessor)
    older = Predecessors(reactor, predecessor.older if predecessor is not None else ())
    # Built even if workers do the work, because build() binds the ports and checks every value before the log begins.
    service = build(command, conf, reactor, sockets, lines, _own_table(command, reactor) if count == 1 else None)
    service.configuration = configuration = Reconfiguration(command, reactor, sources, conf)
    configuration.given = given is not None
    result: CommandService = service
    listeners: list[tuple[str, socket]] = []
    if count > 1:
        from novnc_twisted.service.workers import Supervisor

        # Copies of the files that were checked: the files may change before a worker is started, or started again.
        files = [in_memory(file) for file in found.files]
        result = Supervisor(reactor, command, count, files, sockets, lines, service.renewals, drain=conf.drain_timeout)
        result.lost = service.lost_sessions()
        result.configuration = configuration
        listeners = result.listeners
    result.log_settings = LogSettings.of(command, conf)
    result.older_status = older_status(conf, reactor, result.status, predecessor)
    if result.older_status is not None:
        result.monitoring = make_port(conf, reactor, sockets, result.older_status.status, service.events)
    sockets.close_unused()
    # Copies for the new process of a take-over, because an Acceptor closes its own socket.  With workers, this process
    # accepts only on the monitoring port, so only this port is copied; ``listeners`` stay open until the process stops.
    result.copies = SocketCopies(sockets, None if count == 1 else MONITORING)
    result.predecessor, result.older = predecessor, older
    service.end_with(older)
    result.take_over = TakeOver(
        reactor,
        [*listeners, *result.copies.named],
        older,
        files=lambda: configuration.files,
        status=result.older_status,
        refusal=settings.no_take_over(command, conf),
    )
    return result


def build(
    command: str,
    conf: Any,
    reactor: Any,
    sockets: Sockets,
    warnings: list[str],
    table: "SharedTable | None" = None,
) -> ConsoleService:
    """Build the service of a command for this process, and open the sockets that no other process has passed.

    :param table: the table to which this process writes its sessions; None: there is no table.
    :raises Unusable: an option, a file or a socket cannot be used; the text is one line that names it.
    """
    context = Context.of(command, conf, reactor, sockets, table)
    return ConsoleService(command, context, [BUILDERS[name](context) for name in SERVICES[command]], warnings)


def _passed_sockets(command: str, predecessor: "PredecessorChannel | None") -> Sockets:
    """Take the sockets that the old process of a take-over, or systemd, has passed."""
    if predecessor is not None:
        return Sockets.passed(predecessor.owners)
    return Sockets.of_environment(listening_services(command))


def _own_table(command: str, reactor: Any) -> "SharedTable | None":
    """Return the table to which a process without workers writes its sessions.

    None: the command has no proxy, or there is no folder for the file of the table.
    """
    from novnc_twisted.session.shared_table import SharedTable

    return SharedTable(None, reactor) if has_proxy(command) and SessionTables().folder else None


def _descriptor_warnings(command: str, conf: Any) -> list[str]:
    """Raise the limit of file descriptors; return the warnings if it is still too low for the proxies."""
    limit = descriptors.raise_limit()
    if not has_proxy(command):
        return []
    with_api = "consoleapi" in SERVICES[command]
    return [
        *descriptors.too_few(limit, conf.console.max_sessions, with_api=with_api),
        *descriptors.too_many_connections(limit, conf.console.max_connections, with_api=with_api),
    ]
