"""To the VNC server: TCP by name or address, or a unix socket of this host."""

import ipaddress
import os
import pwd
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Final

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IReactorFDSet, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from novnc_twisted.access.connect_info import ConnectInfo
from novnc_twisted.errors import ConsoleClosed, ConsoleUnreachable
from novnc_twisted.relay.stream_end import StreamEnd
from novnc_twisted.relay.transports import connected
from novnc_twisted.relay.upstream_protocol import EndProtocol
from novnc_twisted.session.connect import connect
from novnc_twisted.session.settings import SessionSettings

STALL: Final = 60.0
"""Seconds for which a VNC server may leave our buffer full: it hangs, and its viewer's leaving would go unnoticed."""

QEMU_USERS: Final = ("libvirt-qemu", "qemu")
"""QEMU's user, by the names that Debian's and Fedora's families give it."""


async def dial(reactor: Any, info: ConnectInfo, settings: SessionSettings) -> StreamEnd:
    """Connect to where the console is.  The caller has the deadline; cancelling gives everything back.

    :raises ConsoleUnreachable: where that can't be done, or may not.
    """
    peer = info.socket if info.socket else f"{info.host}:{info.port}"
    protocol = EndProtocol(reactor, peer, lost=ConsoleClosed, stall=STALL)
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    try:
        if info.socket:
            _check_host(info, settings)
            with pinned_socket(info.socket, settings.socket_directories) as path:
                await UNIXClientEndpoint(reactor, path).connect(factory)
        elif IReactorFDSet.providedBy(reactor) and (found := _numeric(info.host, info.port)) is not None:
            connected(reactor, await connect(reactor, *found), protocol)
        else:
            await _endpoint(reactor, info.host, info.port).connect(factory)
    except ConsoleUnreachable:
        raise
    except Exception as error:  # whatever a resolver, the kernel or Twisted makes of it: it can't be reached
        raise ConsoleUnreachable(f"can't connect to {peer}: {type(error).__name__}: {error}") from None
    return protocol.end


def _numeric(host: str, port: int) -> tuple[int, Any] | None:
    """Family and socket address of an IP address (IPv6 with or without brackets), which needs no search."""
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """By name: whichever of its addresses answers first; an address (IPv6 with or without brackets) needs no search."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return HostnameEndpoint(reactor, host, port)
    kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
    return kind(reactor, str(address), port)


def _check_host(info: ConnectInfo, settings: SessionSettings) -> None:
    if info.compute_host != settings.host:
        raise ConsoleUnreachable(
            f"the console is a unix socket on compute host {info.compute_host!r}, and this proxy's host is "
            f"{settings.host!r}: run a proxy there with the same host option, or let the VM listen on TCP "
            "(<graphics type='vnc' listen=...>)"
        )


@contextmanager
def pinned_socket(path: str, directories: Sequence[str]) -> Iterator[str]:
    """A path that leads to exactly the socket that was checked, as long as the block lasts.

    Each step from the configured folder down is opened without following links, then the socket itself; what is
    dialled is that open inode (by /proc/self/fd), so that nobody can put something else in its place between the check
    and the connect (CVE-2026-7374, CVE-2026-13201: a console's socket replaced by a link).

    :raises ConsoleUnreachable: where it is outside of the folders, behind a link (a hard one, too), no socket, or
        somebody else's.
    """
    base, steps = _below(path, directories)
    opened: list[int] = []
    try:
        try:
            opened.append(os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
            for step in steps[:-1]:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                opened.append(os.open(step, flags, dir_fd=opened[-1]))
            opened.append(os.open(steps[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=opened[-1]))
            found = os.fstat(opened[-1])
        except OSError as error:
            raise ConsoleUnreachable(f"can't open the socket {path}: {error.strerror}") from None
        if not stat.S_ISSOCK(found.st_mode):
            raise ConsoleUnreachable(f"{path} is not a socket")
        if found.st_nlink != 1:  # some other service's, linked to a place that may be dialled
            raise ConsoleUnreachable(f"{path} is a hard link")
        if found.st_uid not in trusted_owners():
            raise ConsoleUnreachable(f"the socket {path} belongs to user {found.st_uid}, who is not QEMU's")
        yield f"/proc/self/fd/{opened[-1]}"
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _below(path: str, directories: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The configured folder that holds the path, and the steps from it."""
    wanted = PurePosixPath(path)
    if not wanted.is_absolute() or ".." in wanted.parts or "\0" in path:
        raise ConsoleUnreachable(f"{path!r} is not an absolute path of a socket")
    for directory in directories:
        base = PurePosixPath(directory)
        if base.is_absolute() and ".." not in base.parts and wanted != base and wanted.is_relative_to(base):
            return str(base), wanted.relative_to(base).parts
    raise ConsoleUnreachable(f"the socket {path} is not in socket_directories ({', '.join(directories)})")


def trusted_owners() -> set[int]:
    """User ids whose sockets are dialled: root, QEMU's user, our own."""
    owners = {0, os.geteuid()}
    for name in QEMU_USERS:
        try:
            owners.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return owners
