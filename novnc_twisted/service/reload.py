"""``novnc-reload``: ``ExecReload`` of the systemd units.  Fails, with one line, where the service could not reload.

It checks the configuration files first, then asks the service and waits for its answer.
"""

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from novnc_twisted.service.control import NAME
from novnc_twisted.service.exits import Unusable, one_line
from novnc_twisted.service.journal import connected_to_journal, error_line

LIMIT = 30.0
"""Seconds that the service may take for its answer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser("novnc-reload", description="Have a service read its certificates again.")
    parser.add_argument("folder", help="the RuntimeDirectory of its unit, as /run/novnc-novncproxy")
    parser.add_argument("--config-file", action="append", default=[], help="check this file before (may be repeated)")
    parser.add_argument("--optional-config-file", help="the same; it need not exist")
    asked = parser.parse_args(arguments)
    files = list(asked.config_file)
    if asked.optional_config_file and Path(asked.optional_config_file).exists():
        files.append(asked.optional_config_file)
    check(files)
    try:
        answer = ask(Path(asked.folder) / NAME)
    except OSError as error:
        fail(f"the service does not answer on {asked.folder}/{NAME}: {error.strerror or error}")
    if answer == "ok":
        return
    if answer and connected_to_journal(sys.stderr):
        sys.exit(1)  # the service has logged the reason there
    fail(answer.removeprefix("failed: ") or "the service ended before it answered")


def check(files: Sequence[str]) -> None:
    """Read configuration files; a mistake ends the command."""
    from novnc_twisted.service.configuration import read_configuration

    try:
        read_configuration(files)
    except Unusable as error:
        fail(str(error))


def ask(path: Path) -> str:
    """The service's answer; empty where it hung up.

    :raises OSError: nothing answers there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(path))
        connection.sendall(b"reload\n")
        with connection.makefile("rb") as reader:
            return reader.readline(65536).decode("utf-8", "replace").strip()


def fail(reason: str) -> NoReturn:
    """End with one line."""
    print(error_line(f"reload failed: {one_line(reason)}"), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
