"""``python -m benchmarks.cloud_load PORT HOSTS DOMAINS SECONDS``: links, checks and lists in a cloud of compute hosts.

The API's side, consoleauth and a proxy's side run in this process, each with its own connection to Redis.  It prints
one line of JSON: for each operation the calls on the bus, the commands to presence and store, the CPU time of this
process, and the time until the answer, as means.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from benchmarks.cloud_deadlines import CALL, lengthen
from benchmarks.cloud_hosts import domain
from novnc_twisted.compute.rpcapi import ComputeAPI
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.messaging import transport_from_url

PAGE = 1000
"""Servers in one page of the list of all servers."""

_NAMES = ("calls", "reads", "cpu_ms", "ms")
_STORE = ("put", "put_new", "get", "get_many", "extend", "remove", "indexed", "join", "leave", "members")


class Counted:
    """A transport that counts calls, and operations on the store and on presence."""

    calls = 0
    reads = 0

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.store = self
        self.may_lose_data = False
        self.start, self.serve, self.now = transport.start, transport.serve, transport.store.now
        for name in _STORE:
            setattr(self, name, self._counted(getattr(transport.store, name)))
        self.services = self._counted(transport.services)

    def call(self, topic: str, method: str, /, **arguments: Any) -> Any:
        """See ITransport."""
        Counted.calls += 1
        return self._transport.call(topic, method, **arguments)

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            Counted.reads += 1
            return method(*arguments, **more)

        return counted


async def measure(seconds: float, work: Callable[[int], Awaitable[Any]], least: int = 3) -> dict[str, float]:
    """Repeat some work for these seconds, and at least ``least`` times; return the means."""
    sums, number, end = [0.0] * len(_NAMES), 0, time.perf_counter() + seconds
    while number < least or time.perf_counter() < end:
        before = _now()
        await work(number)
        sums = [total + now - then for total, now, then in zip(sums, _now(), before, strict=True)]
        number += 1
    return {name: total / number for name, total in zip(_NAMES, sums, strict=True)}


def _now() -> tuple[float, ...]:
    """Return the values of :data:`_NAMES` so far."""
    return Counted.calls, Counted.reads, time.process_time() * 1e3, time.perf_counter() * 1e3


class Cloud:
    """The services in front of the hosts."""

    def __init__(self, reactor: Any, port: str, hosts: int, domains: int) -> None:
        self._hosts, self._domains = hosts, domains
        self._transports = [Counted(transport_from_url(reactor, f"redis://127.0.0.1:{port}/0")) for _ in range(3)]
        transports: list[Any] = self._transports
        api, consoleauth, proxy = transports
        self.compute = ComputeAPI(api, deadline=CALL, now=reactor.seconds)
        self.authority = ConsoleAuthAPI(api, deadline=CALL)
        self.manager = ConsoleAuthManager(consoleauth, reactor, max_tokens_per_user=0)
        self.door = ConsoleAuthAPI(proxy, deadline=CALL)
        self.tokens: list[str] = []

    async def start(self) -> None:
        """Connect."""
        for transport in self._transports:
            await transport.start()
        await self.manager.start()

    async def link(self, number: int) -> None:
        """What the API does for a link to a server."""
        index = number * 7919 % (self._hosts * self._domains)
        uuid = domain(index // self._domains, index % self._domains, self._domains).uuid
        server = await self.compute.find(uuid)
        console = await self.compute.get_vnc_console(uuid, "novnc", server.host)
        info = replace(console.connect_info, user_id="u", project_id=server.project_id)
        await self.authority.authorize_console(console.token, info, owner=server.project_id)
        self.tokens.append(console.token)

    async def check(self, number: int) -> None:
        """What a proxy asks for a session."""
        await self.door.check_token(self.tokens[number % len(self.tokens)], "novnc", "192.0.2.7")

    async def own_list(self, number: int) -> None:
        """The list of a project with a few servers."""
        await self.compute.list_instances(f"project-{number % min(4000, self._hosts * self._domains)}")

    async def whole_list(self, _number: int) -> None:
        """All servers, in pages."""
        servers, more = await self.compute.page(limit=PAGE)
        count = len(servers)
        while more:
            servers, more = await self.compute.page(limit=PAGE, marker=servers[-1].uuid)
            count += len(servers)
        if count != self._hosts * self._domains:
            raise RuntimeError(f"{count} servers are listed")


def main(reactor: Any, port: str, hosts: str, domains: str, seconds: str) -> Deferred[None]:
    """Measure, and print the result."""

    async def run() -> None:
        lengthen()
        cloud = Cloud(reactor, port, int(hosts), int(domains))
        await cloud.start()
        found = {"first look": await measure(0, cloud.whole_list, 1)}
        for name, work in (
            ("link", cloud.link),
            ("check", cloud.check),
            ("list of a project", cloud.own_list),
            ("list of all", cloud.whole_list),
        ):
            await measure(0, work, 1)
            found[name] = await measure(float(seconds), work)
        print(json.dumps(found), flush=True)

    return Deferred.fromCoroutine(run())


if __name__ == "__main__":
    react(main, sys.argv[1:])
