"""Where listening sockets come from: systemd (or our own supervisor) passes them, else they are opened."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from novnc_twisted.service.flagfile import Unusable
from novnc_twisted.service.listening import open_socket

FIRST = 3
"""The descriptor of the first socket that is passed (sd_listen_fds(3))."""

ORDER = ("consoleapi", "novncproxy", "xvpvncproxy")
"""Names of sockets.  Those without a name are the command's parts' in this order, or all its only part's."""


class Sockets:
    """The listening sockets of a process, by the part that accepts on them.

    :ivar taken: those that were given out, passed or opened.
    """

    def __init__(self, passed: dict[str, list[socket.socket]] | None = None) -> None:
        self._passed = passed or {}
        self.taken: dict[str, list[socket.socket]] = {}

    @classmethod
    def of_environment(cls, parts: tuple[str, ...], environ: Mapping[str, str] | None = None) -> "Sockets":
        """Take what LISTEN_FDS passes to this process (LISTEN_PID); names are LISTEN_FDNAMES, ``.socket`` left out.

        :param parts: names of the command's parts that listen.
        :param environ: the process's first environment, if not given.
        :raises Unusable: where what is passed is not a listening TCP socket, or belongs to no part.
        """
        environ = _first_environment() if environ is None else environ
        pid, count, names = (environ.get(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
        if pid != str(os.getpid()) or not count.isdecimal():
            return cls()
        owners = [name.removesuffix(".socket") for name in names.split(":")] if names else []
        if not set(owners) & set(ORDER):
            owners = list(parts) * int(count) if len(parts) == 1 else [name for name in ORDER if name in parts]
        if len(owners) < int(count) or not set(owners) <= set(parts):
            raise Unusable(
                f"LISTEN_FDS: {count} sockets are passed, named {names or 'nothing'}; "
                f"this command takes those of {', '.join(parts) or 'nobody'}"
            )
        return cls.passed(owners[: int(count)])

    @classmethod
    def passed(cls, owners: Sequence[str]) -> "Sockets":
        """Take descriptors from 3 on, whose owners are these.

        :raises Unusable: where one is not a listening TCP socket.
        """
        found: dict[str, list[socket.socket]] = {}
        for number, owner in enumerate(owners, FIRST):
            found.setdefault(owner, []).append(_listening(number))
        return cls(found)

    def take(self, part: str, host: str, port: int, host_option: str, port_option: str) -> list[socket.socket]:
        """The sockets of a part: those that were passed for it, else one that is opened.

        :param host_option: names the address, for the line that people see where that can't be had.
        :param port_option: names the port.
        :raises Unusable: where the address can't be had.
        """
        listeners = self._passed.get(part) or [open_socket(host, port, host_option, port_option)]
        self.taken[part] = listeners
        return listeners


def _listening(number: int) -> socket.socket:
    """The passed descriptor as a socket.

    :raises Unusable: if it is not a listening TCP socket.
    """
    try:
        os.set_inheritable(number, False)
        listener = socket.socket(fileno=number)
        accepts = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise Unusable(f"LISTEN_FDS: descriptor {number}: {error.strerror}") from None
    if not accepts or listener.type != socket.SOCK_STREAM or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise Unusable(f"LISTEN_FDS: descriptor {number} is no listening TCP socket")
    listener.setblocking(False)
    return listener


def _first_environment() -> dict[str, str]:
    """As the process was given it: Twisted takes LISTEN_FDS out of ``os.environ`` when its endpoints are imported."""
    block = Path("/proc/self/environ").read_bytes().decode("utf-8", "surrogateescape")
    return dict(entry.split("=", 1) for entry in block.split("\0") if "=" in entry)
