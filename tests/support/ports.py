"""TCP ports for servers that tests start."""

import random
import socket
from pathlib import Path

FIRST = 10_240
LAST = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 1
"""The ports below those that the kernel gives to connections: it could take one that was free just before."""

# Not the module's own generator, which hypothesis seeds: processes that run side by side would choose the same ports.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port that is free now on all IPv4 addresses."""
    while True:
        port = _random.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
