"""Checks a unix socket of a VNC server before the proxy connects to it."""

import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from novnc_twisted.errors import ConsoleUnreachable

QEMU_USERS: Final = ("libvirt-qemu", "qemu")
"""The names of QEMU's user on Debian's and on Fedora's systems."""


@contextmanager
def pinned_socket(path: str, directories: Sequence[str]) -> Iterator[str]:
    """Check a socket, and yield a path that leads to exactly that socket until the ``with`` block ends.

    Each folder below the configured one, and the socket itself, is opened without following links.  The yielded path
    in /proc/self/fd names the open inode.  So replacing the socket between the check and the connect has no effect
    (CVE-2026-7374, CVE-2026-13201: a console's socket was replaced by a link).

    :param directories: the configured folders; the socket must be below one of them.
    :raises ConsoleUnreachable: the path is outside of the folders, cannot be opened, contains a link, is a hard link or
        not a socket, or its owner is not trusted.
    """
    base, steps = _below(path, directories)
    opened: list[int] = []
    try:
        try:
            # The administrator chose this folder, so links in its own path are followed.
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
        if found.st_nlink != 1:  # O_NOFOLLOW does not notice a hard link to the socket of another service
            raise ConsoleUnreachable(f"{path} is a hard link")
        # Another local user could put a socket there, and read the viewer's keystrokes.
        if found.st_uid not in trusted_owners():
            raise ConsoleUnreachable(
                f"the socket {path} belongs to user {found.st_uid}: neither QEMU's user, root nor our own"
            )
        # connect(2) takes no descriptor; through /proc the kernel reaches exactly the inode that was checked.
        yield f"/proc/self/fd/{opened[-1]}"
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _below(path: str, directories: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the configured folder that contains the path, and the steps from there to the path."""
    wanted = PurePosixPath(path)
    if not wanted.is_absolute() or ".." in wanted.parts or "\0" in path:
        raise ConsoleUnreachable(f"{path!r} is not an absolute path of a socket")
    for directory in directories:
        base = PurePosixPath(directory)
        if base.is_absolute() and ".." not in base.parts and wanted != base and wanted.is_relative_to(base):
            return str(base), wanted.relative_to(base).parts
    raise ConsoleUnreachable(f"the socket {path} is not in socket_directories ({', '.join(directories)})")


def trusted_owners() -> set[int]:
    """Return the user ids whose sockets are dialed: root, QEMU's user, our own."""
    owners = {0, os.geteuid()}
    for name in QEMU_USERS:
        try:
            owners.add(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return owners
