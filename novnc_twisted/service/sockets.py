"""The listening sockets of a process.

Each socket was passed to the process (by systemd, by the supervisor of a worker, or by the old process of a take-over),
or was opened by the process itself.
"""

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
    """The listening sockets of a process, each for the service that accepts on it.

    :ivar taken: the sockets that each service has taken, whether they were passed or opened.
    """

    def __init__(self, passed: dict[str, list[socket.socket]] | None = None) -> None:
        self._passed = passed or {}
        self.taken: dict[str, list[socket.socket]] = {}

    @classmethod
    def of_environment(cls, services: tuple[str, ...], environ: Mapping[str, str] | None = None) -> "Sockets":
        """Take the sockets that systemd passes to this process (LISTEN_FDS, LISTEN_PID).

        LISTEN_FDNAMES contains the service of each socket, with or without ``.socket`` at the end.  If LISTEN_FDNAMES
        names none of the services in :data:`LISTENING`, the sockets belong to ``services``, one to each in this order;
        if there is only one service, it gets all sockets.

        :param services: the command's listening services.
        :param environ: the environment; None: the one with which the process was started.
        :raises Unusable: a descriptor is not a listening TCP or unix socket, or belongs to no service of the command.
        """
        environ = _first_environment() if environ is None else environ
        pid, count, names = (environ.get(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
        # sd_listen_fds(3): sockets that were passed to another process, such as the parent, must not be taken.
        if pid != str(os.getpid()) or not count.isdecimal():
            return cls()
        owners = [name.removesuffix(".socket") for name in names.split(":")] if names else []
        if not set(owners) & set(LISTENING):
            owners = list(services) * (int(count) if len(services) == 1 else 1)
        if len(owners) < int(count) or not set(owners) <= set(services):
            accepts = f"takes sockets of {', '.join(services)}" if services else "does not listen"
            raise Unusable(
                f"LISTEN_FDS: passed sockets: {count}, their names: {names or 'none'}; this command {accepts}"
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
        """Return the sockets that were passed for a service; if there are none, open one.

        :param host_option: the option that names the address, for errors.
        :param port_option: the option that names the port, for errors.
        :raises Unusable: the address cannot be used.
        """
        listeners = self._passed.get(service) or [open_socket(host, port, host_option, port_option)]
        self.taken[service] = listeners
        return listeners

    def take_unix(self, service: str, path: str, mode: int, option: str) -> list[socket.socket]:
        """Return the sockets that were passed for a service; if there are none, open a unix socket.

        :param mode: the permissions of the socket.
        :param option: the option that names the path, for errors.
        :raises Unusable: the path cannot be used.
        """
        listeners = self._passed.get(service) or [open_unix_socket(path, mode, option)]
        self.taken[service] = listeners
        return listeners

    def close_unused(self) -> None:
        """Close the passed sockets that no service has taken, because nobody would accept on them.

        For example, the old process of a take-over passes its monitoring port, but the configuration files no longer
        set ``[monitoring] listen``.
        """
        for service in self._passed.keys() - self.taken.keys():
            for one in self._passed.pop(service):
                one.close()


class SocketCopies:
    """Copies of the listening sockets, for the new process of a take-over.

    Copies are needed, because each Acceptor (:mod:`novnc_twisted.frontend.accepting`) closes the socket that it gets.

    :ivar named: each copy, with the name of its service.
    """

    def __init__(self, sockets: Sockets, service: str | None = None) -> None:
        """:param service: copy only the sockets of this service; None: all sockets."""
        wanted = sockets.taken.items() if service is None else [(service, sockets.taken.get(service, []))]
        self.named = [(name, one.dup()) for name, some in wanted for one in some]

    def close(self) -> None:
        """Close the copies, because the process is being stopped.

        If no other process has these sockets, an open copy would make the kernel complete connections that nobody
        accepts.
        """
        for _, one in self.named:
            one.close()


def _listening(number: int) -> socket.socket:
    """Make a socket of a passed descriptor.

    :raises Unusable: the descriptor is not a listening TCP or unix socket.
    """
    try:
        # Not inheritable, because child processes must get only the sockets that are passed to them explicitly.
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
    """Return the environment with which the process was started.

    Twisted removes LISTEN_FDS from ``os.environ`` when its endpoints are imported.
    """
    block = Path("/proc/self/environ").read_bytes().decode("utf-8", "surrogateescape")
    return dict(entry.split("=", 1) for entry in block.split("\0") if "=" in entry)
