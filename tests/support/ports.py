"""TCP ports for servers that tests start."""

import random
import socket
from collections import deque
from pathlib import Path

FIRST = 16_384
"""The ports below are those of the VMs (:mod:`demo.libvirtd`)."""

LAST = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 1
"""The kernel may give a higher port to a connection at any time, even one that was free just before."""

_CLAIMS = 100
"""How many ports this process keeps from being chosen by other test processes."""

# Not the module's own generator, which hypothesis seeds: processes that run side by side would choose the same ports.
_random = random.SystemRandom()
_claims: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a port that is free now on all IPv4 addresses, and that no other test process is about to use."""
    while True:
        port = _random.randint(FIRST, LAST)
        if not _claim(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


def _claim(port: int) -> bool:
    """Reserve a port among test processes by the name of a unix socket without a file, until 100 more are reserved."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0novnc_twisted.tests.port.{port}")
    except OSError:
        holder.close()
        return False
    _claims.append(holder)
    if len(_claims) > _CLAIMS:
        _claims.popleft().close()
    return True
