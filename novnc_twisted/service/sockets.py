"""The listening sockets: passed by systemd or by our supervisor, else opened here."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from novnc_twisted.service.commands import LISTENING
from novnc_twisted.service.exits import Unusable
from novnc_twisted.service.listening import open_socket, open_unix_socket

_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)

FIRST = 3
"""The descriptor of the first socket that is passed (sd_listen_fds(3))."""


class Sockets:
    """The listening sockets of a process, by the service that accepts on them.

    :ivar taken: the sockets that the services have got, passed or opened.
    """

    def __init__(self, passed: dict[str, list[socket.socket]] | None = None) -> None:
        self._passed = passed or {}
        self.taken: dict[str, list[socket.socket]] = {}

    @classmethod
    def of_environment(cls, services: tuple[str, ...], environ: Mapping[str, str] | None = None) -> "Sockets":
        """Take the sockets that LISTEN_FDS passes to this process (LISTEN_PID).

        Their names are LISTEN_FDNAMES without ``.socket``.  Sockets without names are those of the services in the
        order of :data:`LISTENING`, or all of them those of the command's only service.

        :param services: the services of the command that listen.
        :param environ: default: the environment with which the process was started.
        :raises Unusable: a descriptor is not a listening TCP or unix socket, or belongs to no service.
        """
        environ = _first_environment() if environ is None else environ
        pid, count, names = (environ.get(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
        # sd_listen_fds(3): sockets for another process (a parent) must not be taken.
        if pid != str(os.getpid()) or not count.isdecimal():
            return cls()
        owners = [name.removesuffix(".socket") for name in names.split(":")] if names else []
        if not set(owners) & set(LISTENING):
            owners = list(services) * (int(count) if len(services) == 1 else 1)
        if len(owners) < int(count) or not set(owners) <= set(services):
            accepts = f"takes those of {', '.join(services)}" if services else "does not listen"
            raise Unusable(
                f"LISTEN_FDS: {count} sockets are passed, named {names or 'nothing'}; this command {accepts}"
            )
        return cls.passed(owners[: int(count)])

    @classmethod
    def passed(cls, owners: Sequence[str]) -> "Sockets":
        """Take the descriptors from 3 on.

        :param owners: the service of each descriptor.
        :raises Unusable: a descriptor is not a listening TCP or unix socket.
        """
        found: dict[str, list[socket.socket]] = {}
        for number, owner in enumerate(owners, FIRST):
            found.setdefault(owner, []).append(_listening(number))
        return cls(found)

    def take(self, service: str, host: str, port: int, host_option: str, port_option: str) -> list[socket.socket]:
        """The sockets of a service: those that were passed for it, else one that is opened.

        :param host_option: the option that names the address, for errors.
        :param port_option: the option that names the port, for errors.
        :raises Unusable: the address cannot be used.
        """
        listeners = self._passed.get(service) or [open_socket(host, port, host_option, port_option)]
        self.taken[service] = listeners
        return listeners

    def take_unix(self, service: str, path: str, mode: int, option: str) -> list[socket.socket]:
        """The sockets of a service: those that were passed for it, else a unix socket that is opened.

        :param mode: the permissions of the socket.
        :param option: the option that names the path, for errors.
        :raises Unusable: the path cannot be used.
        """
        listeners = self._passed.get(service) or [open_unix_socket(path, mode, option)]
        self.taken[service] = listeners
        return listeners


class Copies:
    """Copies of the listening sockets, to pass on to a successor.

    :ivar named: each with its service.
    """

    def __init__(self, sockets: Sockets, service: str | None = None) -> None:
        """:param service: copy only the sockets of this one; None: all."""
        wanted = sockets.taken.items() if service is None else [(service, sockets.taken.get(service, []))]
        self.named = [(name, one.dup()) for name, some in wanted for one in some]

    def close(self) -> None:
        """Close them; otherwise the kernel would go on to take connections that nobody accepts."""
        for _, one in self.named:
            one.close()


def _listening(number: int) -> socket.socket:
    """The passed descriptor as a socket.

    :raises Unusable: it is not a listening TCP or unix socket.
    """
    try:
        # The processes that this one starts get the sockets explicitly, or not at all.
        os.set_inheritable(number, False)
        listener = socket.socket(fileno=number)
        accepts = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise Unusable(f"LISTEN_FDS: descriptor {number}: {error.strerror}") from None
    if not accepts or listener.type != socket.SOCK_STREAM or listener.family not in _FAMILIES:
        raise Unusable(f"LISTEN_FDS: descriptor {number} is not a listening TCP or unix socket")
    listener.setblocking(False)
    return listener


def _first_environment() -> dict[str, str]:
    """The environment with which the process was started.

    Twisted removes LISTEN_FDS from ``os.environ`` when its endpoints are imported.
    """
    block = Path("/proc/self/environ").read_bytes().decode("utf-8", "surrogateescape")
    return dict(entry.split("=", 1) for entry in block.split("\0") if "=" in entry)
