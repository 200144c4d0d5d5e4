"""``novnc-reload``: ``ExecReload`` of the systemd units.

It checks the configuration files, sends them to the service, and waits for its answer.  If the service could not
reload, the command prints one line and fails.
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

LIMIT = 30.0
"""Seconds to wait for the service's answer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser("novnc-reload", description="Have a service read its files again.")
    parser.add_argument("folder", help="the RuntimeDirectory of its unit, such as /run/novnc-novncproxy")
    # One list for both: later files win, so that their order matters.
    add = partial(parser.add_argument, action="append", dest="files", default=[])
    add("--config-file", help="a configuration file of the service (may be repeated)")
    add("--optional-config-file", type=_Optional, help="the same; it need not exist")
    asked = parser.parse_args(arguments)
    paths = [str(path) for path in asked.files if not isinstance(path, _Optional) or Path(path).exists()]
    texts = check(paths)
    try:
        answer = ask(Path(asked.folder) / NAME, texts)
    except OSError as error:
        fail(f"the service does not answer on {asked.folder}/{NAME}: {error.strerror or error}")
    if answer == "ok":
        return
    if answer and connected_to_journal(sys.stderr):
        sys.exit(1)  # the service has logged the reason there
    fail(answer.removeprefix("failed: ") or "the service ended before it answered")


class _Optional(str):
    """The path of a file that need not exist."""

    __slots__ = ()


def check(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Read the configuration files; return the path and the text of each.  A mistake ends the command."""
    from novnc_twisted.service.configuration import read_configuration

    try:
        read_configuration(paths)
        return [(path, Path(path).read_text(encoding="utf-8-sig")) for path in paths]
    except (Unusable, OSError, ValueError) as error:
        fail(str(error))


def ask(path: Path, files: Sequence[tuple[str, str]]) -> str:
    """Return the service's answer; empty if it closed the connection.

    :param files: the path and the text of each configuration file; none: the service reads its own files again.
    :raises OSError: no service answers there.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(path))
        connection.sendall(b"reload " + json.dumps(files).encode() + b"\n" if files else b"reload\n")
        with connection.makefile("rb") as reader:
            return reader.readline(65536).decode("utf-8", "replace").strip()


def fail(reason: str) -> NoReturn:
    """End the command with one line."""
    print(error_line(f"reload failed: {one_line(reason)}"), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
