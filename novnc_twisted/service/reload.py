"""``novnc-reload``: ``ExecReload`` of the systemd units.

It checks the configuration files, asks the service to reload, and waits for its answer.  If the service could not
reload, the command prints one line and fails.
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
"""Seconds to wait for the service's answer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser("novnc-reload", description="Have a service read its certificates again.")
    parser.add_argument("folder", help="the RuntimeDirectory of its unit, such as /run/novnc-novncproxy")
    parser.add_argument("--config-file", action="append", default=[], help="check this file before (may be repeated)")
    parser.add_argument("--optional-config-file", help="the same; it need not exist")
    asked = parser.parse_args(arguments)
    files = list(asked.config_file)
    if asked.optional_config_file and Path(asked.optional_config_file).exists():
        files.append(asked.optional_config_file)
    # Checked by this command: the service itself does not read the options again.
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
    """Read the configuration files; a mistake ends the command."""
    from novnc_twisted.service.configuration import read_configuration

    try:
        read_configuration(files)
    except Unusable as error:
        fail(str(error))


def ask(path: Path) -> str:
    """Return the service's answer; empty if it closed the connection.

    :raises OSError: no service answers there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(path))
        connection.sendall(b"reload\n")
        with connection.makefile("rb") as reader:
            return reader.readline(65536).decode("utf-8", "replace").strip()


def fail(reason: str) -> NoReturn:
    """End the command with one line."""
    print(error_line(f"reload failed: {one_line(reason)}"), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
