"""The end of a command that cannot start: one line on standard error, and an exit code."""

import atexit
import gc
import os
import signal
import sys
from typing import Final, NoReturn

BAD_CONFIGURATION: Final = 78
"""EX_CONFIG of sysexits.h.  A restart would not help, so systemd does not restart the service: the units in
contrib/systemd name this code in RestartPreventExitStatus."""

START_FAILED: Final = 1
"""The start failed for a reason outside the configuration, such as a port in use; a restart may help."""


class Unusable(Exception):
    """The configuration cannot be used; the subclass :class:`StartFailed` is for other reasons.

    The text is one line that names the option or the file.

    :ivar exit_code: the exit code of the command.
    """

    exit_code = BAD_CONFIGURATION


class StartFailed(Unusable):
    """The command cannot start for a reason outside the configuration, such as a port in use."""

    exit_code = START_FAILED


def one_line(text: object) -> str:
    """Return a text without line breaks and other control characters."""
    words = " ".join(str(text).split())
    return "".join(character if character.isprintable() else "?" for character in words)


def reason(error: BaseException) -> str:
    """Return one line that says why a start failed: the text of an Unusable; of any other error, type and text."""
    if isinstance(error, Unusable):
        return one_line(error)
    return one_line(f"{type(error).__name__}: {error}")


def refuse(command: str, error: BaseException) -> NoReturn:
    """End the process before its log begins, with one line on standard error.

    In a take-over, the line is sent to the old process instead.

    :raises SystemExit: with the ``exit_code`` of the error; START_FAILED if it has none.
    """
    from novnc_twisted.service.journal import error_line  # imported here, because --help does not need Twisted's log
    from novnc_twisted.service.takeover.successor import channel_to_predecessor

    predecessor = channel_to_predecessor()
    if predecessor is not None:
        predecessor.failed(reason(error))  # the old process of the take-over logs the line
    else:
        print(error_line(f"{command}: {reason(error)}"), file=sys.stderr)
    raise SystemExit(getattr(error, "exit_code", START_FAILED))


def end_by_signals() -> None:
    """Let SIGTERM and SIGINT end the process with exit code 0 even before the reactor runs.

    The reactor, and later :class:`~novnc_twisted.service.lifecycle.CommandService`, install other handlers.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def prepare_exit() -> None:
    """Make the later exit of the interpreter fast, and protect the exit code.  The function does not end the process.

    A last garbage collection would free all modules and take 0.2 s of CPU time, on a busy machine several seconds.  The
    process must end within 5 s after SIGTERM, and the kernel frees the memory anyway.

    During the exit, a further SIGTERM or SIGINT is ignored.  A handler would not be enough: the interpreter restores
    the default action before it ends, and a signal that arrives after this would replace the exit code.
    """
    atexit.register(_last_steps)


def _last_steps() -> None:
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def exit_with(code: int) -> None:
    """Make the process end with this code after the reactor has stopped; twistd itself would exit with 0."""
    atexit.register(_leave, code)


def _leave(code: int) -> None:
    # os._exit() does not flush the streams.  Without this flush, the last log line, which says why the process ends,
    # could be lost.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Not sys.exit(), which does not change the exit code in an atexit handler: twistd has already chosen 0.
    os._exit(code)
