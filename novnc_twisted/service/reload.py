"""The command ``novnc-reload``, which the systemd units run as ``ExecReload``.

The command checks the configuration files that its options name, sends them to the service, and waits for the answer.
Without such options, the service reads its files again.  But if an earlier reload has sent configuration files, the
service keeps them, and does not read them from disk.  If the service answers that it cannot reload, the command fails
and prints the reason in one line.  If the command's standard error goes to the journal, the command does not print the
reason, because the service has logged it there already.  With ``--take-over``, the installed version replaces the
running service.
"""

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from novnc_twisted.service.control import NAME
from novnc_twisted.service.exits import Unusable, one_line
from novnc_twisted.service.journal import connected_to_journal, error_line
from novnc_twisted.service.takeover.launch import LONGEST_START

LIMIT = 30.0
"""Seconds to wait for the service's answer."""

LIMIT_OF_TAKE_OVER = LONGEST_START + 10
"""Seconds to wait for the end of a take-over."""

REFUSED = 69
"""The exit code if the service does not support a take-over, so that it has to be restarted (EX_UNAVAILABLE)."""

ENDED = "the service ended before it answered; its log has the reason"
"""The reason if the service closes the connection without an answer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser("novnc-reload", description="Have a service read its files again.")
    parser.add_argument("folder", help="the RuntimeDirectory of its unit, such as /run/novnc-novncproxy")
    # One list for both options, because later files override earlier ones.
    add = partial(parser.add_argument, action="append", dest="files", default=[])
    add("--config-file", help="a configuration file of the service (may be repeated)")
    add("--optional-config-file", type=_Optional, help="the same, but the file need not exist")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="start the installed version in place of the running service, as after SIGUSR2; sessions go on",
    )
    asked = parser.parse_args(arguments)
    if asked.take_over:
        if asked.files:
            parser.error("--take-over cannot be combined with files; to use other files, reload with them first")
        replace(Path(asked.folder) / NAME)
        return
    paths = [str(path) for path in asked.files if not isinstance(path, _Optional) or path.may_exist()]
    texts = check(paths)
    request = b"reload " + json.dumps(texts).encode() if texts else b"reload"
    answer = ask(Path(asked.folder) / NAME, request)
    if answer == "ok":
        return
    if answer and connected_to_journal(sys.stderr):
        sys.exit(1)  # the service has logged the reason in the journal
    fail(answer.removeprefix("failed: ") or ENDED)


class _Optional(str):
    """The path of a file that need not exist."""

    __slots__ = ()

    def may_exist(self) -> bool:
        """Return whether the file exists or may exist.

        If the path can't be examined, the result is True, so that check() tries to read the file and reports the error.
        """
        try:
            return Path(self).exists()
        except OSError:
            return True


def check(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Check the configuration files; return the path and the text of each.  An error ends the command.

    The returned paths are only for messages: :func:`.one_line` has replaced unprintable characters.
    """
    from novnc_twisted.service.configuration import read_configuration

    try:
        read_configuration(paths)
        return [(one_line(path), Path(path).read_text(encoding="utf-8-sig")) for path in paths]
    except (Unusable, OSError, ValueError) as error:
        fail(str(error))


def replace(path: Path) -> None:
    """Let the installed version replace the service.  If that is not possible, end the command with one line."""
    answer = ask(path, b"take-over", LIMIT_OF_TAKE_OVER, "take-over")
    if answer != "ok":
        kind, _, why = answer.partition(": ")
        refused = kind == "refused"
        fail(why or ENDED, "take-over", REFUSED if refused else 1)


def ask(path: Path, request: bytes, limit: float = LIMIT, what: str = "reload") -> str:
    """Send a request to the service; return the answer, or an empty text if the connection ends without an answer.

    If the service can't be reached, or does not answer in time, the command ends with one line.

    :param request: the line to send, without the newline; see :class:`~novnc_twisted.service.control.Control`.
    :param limit: seconds to wait for the answer.
    :param what: the name of the request, for the error.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(str(path))
            connection.sendall(request + b"\n")
            with connection.makefile("rb") as reader:
                return reader.readline(65536).decode("utf-8", "replace").strip()
        except OSError as error:
            fail(f"the service does not answer on {path}: {error.strerror or error}", what)


def fail(reason: str, what: str = "reload", code: int = 1) -> NoReturn:
    """End the command with one line."""
    print(error_line(f"{what} failed: {one_line(reason)}"), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
