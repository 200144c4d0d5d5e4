"""``python -m benchmarks.cloud_hosts PORT HOSTS DOMAINS``: many compute hosts in one process, at the Redis on a port.

Each is a real ComputeManager with a hypervisor in memory.  It prints ``ready`` when all of them have published.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.task import react
from zope.interface import implementer

from benchmarks.cloud_deadlines import lengthen
from novnc_twisted.compute.domain_xml import Domain, Vnc
from novnc_twisted.compute.interfaces import ActiveConsole, Change, DomainEvent, IDriver, Operation, Picture
from novnc_twisted.compute.manager import ComputeManager
from novnc_twisted.errors import InstanceNotFound
from novnc_twisted.messaging import transport_from_url

_PROJECTS = 4000
_TOGETHER = 50  # hosts that start at the same time; the next ones wait until these have published


def domain(host: int, number: int, domains: int) -> Domain:
    """A running domain.  With 20,000 domains, each project has five."""
    index = host * domains + number
    return Domain(
        uuid=f"{index * 2654435761 % 2**32:08x}-2222-3333-4444-{index:012x}",
        name=f"server-{index:06}",
        active=True,
        state="running",
        power_state=1,
        vcpus=2,
        memory_mb=2048,
        project_id=f"project-{index % _PROJECTS}",
        user_id=f"user-{index % 97}",
        vnc=Vnc(port=5900 + number, listens=(address(host),)),
    )


def address(host: int) -> str:
    """The address of a host: each has its own."""
    return f"10.1.{host // 250}.{host % 250 + 1}"


@implementer(IDriver)
class MemoryDriver:
    """A hypervisor in memory."""

    def __init__(self, reactor: Any, domains: list[Domain]) -> None:
        self.clock = reactor
        self._domains = {domain.uuid: domain for domain in domains}

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        """See IDriver."""
        listener(DomainEvent(Change.CONNECTED))
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See IDriver."""
        return succeed(None)

    def list_domains(self) -> Deferred[list[Domain]]:
        """See IDriver."""
        return succeed(list(self._domains.values()))

    def get_domain(self, uuid: str) -> Deferred[Domain]:
        """See IDriver."""
        found = self._domains.get(uuid)
        return fail(InstanceNotFound("")) if found is None else succeed(found)

    def domain_with_conflicts(self, uuid: str) -> Deferred[tuple[Domain, list[ActiveConsole]]]:
        """See IDriver; no two domains of these hosts share a port."""
        found = self._domains.get(uuid)
        return fail(InstanceNotFound("")) if found is None else succeed((found, []))

    def active_consoles(self) -> Deferred[list[ActiveConsole]]:
        """See IDriver."""
        return succeed([ActiveConsole(one.uuid, one.name, one.vnc) for one in self._domains.values() if one.vnc])

    def is_persistent(self, uuid: str) -> Deferred[bool]:
        """See IDriver."""
        return self.get_domain(uuid).addCallback(lambda _domain: True)

    def operate(self, uuid: str, operations: Sequence[Operation]) -> Deferred[None]:
        """See IDriver; nothing changes."""
        return succeed(None)

    def send_keys(self, uuid: str, codes: Sequence[int], hold: int) -> Deferred[None]:
        """See IDriver."""
        return succeed(None)

    def screenshot(self, uuid: str, kind: str, width: int | None) -> Deferred[Picture]:
        """See IDriver."""
        return succeed(Picture(b"-", 1, 1))

    def get_vnc_password(self, uuid: str) -> Deferred[str | None]:
        """See IDriver."""
        return succeed(None)


class Publication:
    """The store of one host.

    :ivar over: fires when the host has published its domains for the first time, and joins the group of hosts.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.over: Deferred[None] = Deferred()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def join(self, *arguments: Any) -> None:
        """See IKeyedStore."""
        await self._store.join(*arguments)
        if not self.over.called:
            self.over.callback(None)


class OneConnection:
    """A transport that serves each topic over one connection instead of one for each role."""

    def __init__(self, transport: Any) -> None:
        self.call, self.services = transport.call, transport.services
        self.store = Publication(transport.store)
        self._serve = transport.serve

    def serve(self, topic: str, methods: Any, **more: Any) -> Any:
        """See ITransport."""
        return self._serve(topic, methods, **{**more, "callers": None})


async def start(reactor: Any, transport: Any, host: int, domains: int) -> None:
    """Start a host, and wait until it has published its domains."""
    connection: Any = OneConnection(transport)
    manager = ComputeManager(
        connection,
        MemoryDriver(reactor, [domain(host, number, domains) for number in range(domains)]),
        host=f"host{host}",
        server_proxyclient_address=address(host),
        server_listen="0.0.0.0",
    )
    await manager.start()
    await connection.store.over


def main(reactor: Any, port: str, hosts: str, domains: str) -> Deferred[None]:
    """Start the hosts, and keep running."""

    async def run() -> None:
        lengthen()
        transport = transport_from_url(reactor, f"redis://127.0.0.1:{port}/0")
        await transport.start()
        for first in range(0, int(hosts), _TOGETHER):
            some = range(first, min(first + _TOGETHER, int(hosts)))
            starts = [Deferred.fromCoroutine(start(reactor, transport, host, int(domains))) for host in some]
            await gatherResults(starts)
        print("ready", flush=True)
        await Deferred()

    return Deferred.fromCoroutine(run())


if __name__ == "__main__":
    react(main, sys.argv[1:])
