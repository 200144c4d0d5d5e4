"""What the six ``twistd`` commands have in common: the command line, and the report of errors before the log begins."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from novnc_twisted._version import __version__
from novnc_twisted.service.exits import Unusable, end_by_signals, prepare_exit, refuse


class Options(usage.Options):
    """The command line of every command: its configuration files."""

    command = ""

    def __init__(self) -> None:
        super().__init__()
        self["config-file"] = []
        self["check-config"] = False

    def getSynopsis(self) -> str:
        """Return the first line of ``--help``."""
        return f"Usage: twistd [twistd's options] {self.command} [--config-file FILE ...] [--check-config]"

    def getUsage(self, width: int | None = None) -> str:
        """Return the text of ``--help``: the command line, then every option of the files."""
        from novnc_twisted.service.options.help import describe

        return f"{super().getUsage(width)}\n{describe(width or 100)}"

    def opt_config_file(self, path: str) -> None:
        """A file in nova.conf's format (may be repeated; later files override earlier ones)."""
        self["config-file"].append(path)

    def opt_check_config(self) -> None:
        """Only check the configuration: one line for each error and warning; exit code 78 for errors, else 0."""
        self["check-config"] = True

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"novnc_twisted {__version__}")
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse the command line.  A mistake ends the process with one line and an exit code.

        twistd itself would print all of its help.

        With ``--check-config``, the process ends after the check.  If a take-over (SIGUSR2) has started this process to
        replace an older one, twistd must neither fork nor touch the older one's pid file, so some of twistd's own
        options are changed first (:meth:`.PredecessorChannel.adjust`).
        """
        from novnc_twisted.service.takeover.successor import channel_to_predecessor

        predecessor = channel_to_predecessor()
        if predecessor is not None and self.parent is not None:
            predecessor.adjust(self.parent)
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            refuse(self.command, Unusable(error))
        if self["check-config"]:
            # Checked now, because twistd's next step would end the process if another twistd runs in this folder.
            from novnc_twisted.service.make_service import check

            raise SystemExit(check(self.command, self["config-file"]))

    def parseArgs(self, *arguments: str) -> None:
        """Refuse arguments that are not options."""
        if arguments:
            raise usage.UsageError(f"the command takes only options, not the argument {arguments[0]}")


def command(name: str) -> tuple[type[Options], Callable[[Any], IService]]:
    """Return the ``Options`` and the ``makeService`` of one command.

    Most modules are imported only when the service is made, so that ``twistd --help`` is fast.
    """

    def make(options: Any) -> IService:
        end_by_signals()  # before the imports, which take longest
        prepare_exit()
        from twisted.internet import reactor

        from novnc_twisted.service.collector import spare_the_start
        from novnc_twisted.service.log_output import output
        from novnc_twisted.service.make_service import make_service

        try:
            service = make_service(name, options["config-file"])
            service.twistd = options.parent if options.parent is not None else {}
            service.observer, service.log_file = output(service.log_settings, sys.stdout, options.parent)
            spare_the_start(reactor)
            return service
        except Exception as error:
            # Every exception is caught, because twistd would print a traceback and exit with code 1.  Even after an
            # error in the configuration, systemd would then restart the service again and again.
            refuse(name, error)

    # A class for each command, because twistd calls the ``Options`` of a command's module without arguments.
    return type("Options", (Options,), {"command": name, "__doc__": Options.__doc__}), make
