"""Opens listening sockets before the log begins, so that a port in use is reported by one line and an exit code."""

import errno
import os
import socket
import stat
from pathlib import Path

from novnc_twisted.service.exits import StartFailed, Unusable

_PORTS_FAULT = (errno.EADDRINUSE, errno.EACCES)
"""Errors that are caused by the port; all others are caused by the address."""


def open_socket(host: str, port: int, host_option: str, port_option: str) -> socket.socket:
    """Open a TCP socket that listens on a host name or address.

    :param host_option: the option that names the address, for errors.
    :param port_option: the option that names the port, for errors.
    :raises StartFailed: the address or port cannot be used now.
    :raises Unusable: the host is neither an address nor a host name.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartFailed(f"{host_option}: {host}: {error.strerror}") from None
    except ValueError:  # raised by Python: the host cannot be encoded as IDNA, or contains a null character
        raise Unusable(f"{host_option}: {host!r} is neither an address nor a host name") from None
    try:
        listener = socket.socket(family, kind, protocol)
    except OSError as error:  # for example: this machine has no IPv6
        raise StartFailed(f"{host_option}: can't listen on {host}: {error.strerror}") from None
    try:
        # Without SO_REUSEADDR, connections of the last run in TIME_WAIT would block the port after a restart.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means IPv4 as well, as in nova's proxies; any other IPv6 address means IPv6 only.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind(address)
        # With a long queue, a burst of reconnecting viewers waits instead of being dropped.  The kernel limits the
        # length to somaxconn.
        listener.listen(1024)
    except OSError as error:
        listener.close()
        option = port_option if error.errno in _PORTS_FAULT else host_option
        raise StartFailed(f"{option}: can't listen on {host} port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def open_unix_socket(path: str, mode: int, option: str) -> socket.socket:
    """Open a unix socket that listens.  A socket at this path on which nobody listens is replaced.

    :param mode: the permissions of the socket.
    :param option: the option that names the path, for errors.
    :raises StartFailed: the path cannot be used now, or another process listens on it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # With this umask, bind() creates the socket with the right permissions at once, without a later chmod().
    before = os.umask(0o777 & ~mode)
    try:
        if _is_left_over(path):
            Path(path).unlink()
        listener.bind(path)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise StartFailed(f"{option}: can't listen on {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _is_left_over(path: str) -> bool:
    """Return whether the path is a socket on which nobody listens, such as a killed process leaves behind."""
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Only a refused connection shows that nobody listens.  If a process listens but its queue is full, the attempt
        # fails with another error.
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED
