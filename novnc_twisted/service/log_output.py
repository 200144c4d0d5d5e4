"""Chooses the destination and the form of a command's log (``log_format``, ``log_file``, ``log_dir``)."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TextIO, cast

from twisted.logger import FileLogObserver, FilteringLogObserver, ILogObserver

from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.journal import WithoutPluginCache, log_observer
from novnc_twisted.service.log_file import LogFile, RotatedFile
from novnc_twisted.service.log_format import FORMATS
from novnc_twisted.service.takeover.successor import DAEMON

PROGRAMS: Final = {"consolecompute": "nova-compute", "consoleapi": "nova-api"}
"""The names of our commands in nova.  For a command that is not listed, nova's name is ``nova-COMMAND``."""


@dataclass(frozen=True)
class LogSettings:
    """The options of the log.

    :ivar form: a key of ``FORMATS``.
    :ivar path: the file; None for standard output.
    :ivar option: the option that names the file.
    """

    form: str = "text"
    path: str | None = None
    option: str = "log_file"

    @classmethod
    def of(cls, command: str, conf: Any) -> Self:
        """Return the settings of a command.

        If only ``log_dir`` is set, the file has the name of nova's program, as with oslo.log.
        """
        if conf.log_dir and not conf.log_file:
            name = PROGRAMS.get(command, f"nova-{command}")
            return cls(conf.log_format, str(Path(conf.log_dir, f"{name}.log")), "log_dir")
        return cls(conf.log_format, str(Path(conf.log_dir or "", conf.log_file)) if conf.log_file else None)

    def open(self) -> LogFile:
        """Open the file.

        :raises Unusable: it can't be opened.
        """
        assert self.path is not None
        try:
            return LogFile(self.path)
        except OSError as error:
            raise _cannot_open(self.option, self.path, error) from None

    def check(self) -> None:
        """Check that the file can be opened, without creating it.

        :raises Unusable: it can't be opened.
        """
        if self.path is None:
            return
        reason = _obstacle(Path(self.path))
        if reason:
            raise Unusable(f"{self.option}: can't open {self.path}: {reason}")


def _cannot_open(option: str, path: str, error: OSError) -> Unusable:
    """Return the error for a log file that can't be opened."""
    hint = ""
    if isinstance(error, PermissionError):
        # With twistd --uid, the file may belong to root, but the new process of a take-over does not run as root.
        hint = f"; the user of this process (uid {os.geteuid()}) needs the right to write this file"
    return Unusable(f"{option}: can't open {path}: {error.strerror}{hint}")


def _obstacle(path: Path) -> str:
    """Return why a file can't be opened for writing, or an empty text."""
    try:
        if path.is_dir():
            return "Is a directory"
        if not path.parent.is_dir():
            return "No such file or directory"
        return "" if os.access(path if path.exists() else path.parent, os.W_OK) else "it is not writable"
    except OSError as error:
        return error.strerror or str(error)


def output(
    settings: LogSettings, stream: TextIO, twistd: Mapping[str, Any] | None = None
) -> tuple[ILogObserver | None, LogFile | None]:
    """Return the observer of the log, and the file to open again at SIGHUP.

    :param stream: the destination of the log if there is no file.
    :param twistd: the options of twistd; None: this process runs without twistd.  ``--logfile FILE`` overrides
        ``log_file`` and ``log_dir``; ``--syslog`` and ``--logger`` override ``log_format`` as well.
    :return: the observer is None if twistd's own observer is to be used.
    :raises Unusable: the file can't be opened.
    """
    options = {} if twistd is None else twistd
    named, daemon = str(options.get("logfile") or ""), not options.get("nodaemon", True)
    if options.get("syslog") or options.get("logger"):
        return None, None
    if named in ("", "-") and settings.path is not None:
        file = settings.open()
        to = FileLogObserver(cast(TextIO, file), FORMATS[settings.form])
        return FilteringLogObserver(to, [WithoutPluginCache()]), file
    if daemon and named == "-":
        return None, None  # twistd refuses to write the log of a daemon to standard output
    # In the new process of a take-over, ``nodaemon`` is always set, and DAEMON shows whether the service is a daemon.
    if not named and (daemon or options.get(DAEMON)):
        named = "twistd.log"  # twistd's file for a daemon, which has no standard output
    if named in ("", "-"):
        return log_observer(stream, None if settings.form == "text" else FORMATS[settings.form]), None
    return _to_twistds_file(named, settings), None


def _to_twistds_file(path: str, settings: LogSettings) -> ILogObserver:
    """Return an observer that writes the log to twistd's file, in the form that ``log_format`` names.

    The file is rotated at the same size as by twistd's own observer, and at SIGUSR1.

    :raises Unusable: the file can't be opened.
    """
    try:
        file: Any = RotatedFile.fromFullPath(path)
    except OSError as error:
        raise _cannot_open("--logfile", str(Path(path).absolute()), error) from None
    # Keep a handler that somebody else has installed.
    if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:

        def rotate(*_: object) -> None:
            from twisted.internet import reactor

            reactor.callFromThread(file.rotate)  # type: ignore[attr-defined]

        signal.signal(signal.SIGUSR1, rotate)
    return FilteringLogObserver(FileLogObserver(file, FORMATS[settings.form]), [WithoutPluginCache()])
