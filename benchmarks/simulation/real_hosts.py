"""``python -m benchmarks.simulation.real_hosts PORT FIRST HOSTS DOMAINS``: compute hosts that answer calls.

Each is a real ComputeManager with a hypervisor in memory and connections of its own.
"""

import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.cloud_hosts import MemoryDriver, Publication, address, domain
from benchmarks.simulation.control import Obeying
from novnc_twisted.compute.manager import ComputeManager
from novnc_twisted.contract.roles import COMPUTE
from novnc_twisted.messaging import transport_from_url


class _Hosted:
    """A transport whose store reports when the host has published."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.store = Publication(transport.store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def start(reactor: Any, port: int, host: int, domains: int) -> Any:
    """Start a host, wait until it has published its domains, and return its transport."""
    transport = transport_from_url(reactor, f"redis://127.0.0.1:{port}/0", COMPUTE)
    await transport.start()
    hosted: Any = _Hosted(transport)
    manager = ComputeManager(
        hosted,
        MemoryDriver(reactor, [domain(host, number, domains) for number in range(domains)]),
        host=f"host{host}",
        server_proxyclient_address=address(host),
        server_listen="0.0.0.0",
    )
    await manager.start()
    await hosted.store.over
    return transport


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """Run the parent's commands; ``begin`` starts the hosts."""
    port, first, hosts, domains = map(int, arguments)

    async def begin() -> int:
        for host in range(first, first + hosts):
            await start(reactor, port, host, domains)
        return hosts

    async def cpu() -> float:
        return time.process_time()

    return Obeying.start(begin=begin, cpu=cpu)


if __name__ == "__main__":
    react(main, sys.argv[1:])
