"""``python -m benchmarks.simulation.generator PORT API FIRST HOSTS DOMAINS``: the requests of users and proxies.

It requests links from the real API, as users do, and asks consoleauth to check tokens and renew leases, as proxies do.
Links are made to the servers of the real hosts only.
"""

import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from benchmarks.cloud_hosts import domain
from benchmarks.simulation.control import Obeying
from benchmarks.simulation.http_client import Connection
from novnc_twisted.consoleauth import ConsoleAuthAPI
from novnc_twisted.contract.roles import PROXY
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging import transport_from_url

ADDRESS = "192.0.2.7"
_LINK = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
_UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Generator:
    """The load.  Each ``do_`` method is one operation of one user or proxy, and returns whether it succeeded."""

    def __init__(self, reactor: Any, port: int, api: int, first: int, hosts: int, domains: int) -> None:
        self._reactor, self._port, self._api = reactor, port, api
        self._first, self._hosts, self._domains = first, hosts, domains
        self._connections: list[Connection] = []
        self._proxy: Any = None
        self.tokens: list[str] = []
        self.session = ""

    async def start(self) -> None:
        """Connect to the bus."""
        transport = transport_from_url(self._reactor, f"redis://127.0.0.1:{self._port}/0", PROXY)
        await transport.start()
        self._proxy = ConsoleAuthAPI(transport)

    async def repeat(self, work: str, seconds: float = 0, at_once: int = 1, count: int = 0) -> dict[str, Any]:
        """Repeat an operation, several at a time, for ``seconds``; if this is 0, ``count`` times.

        :returns: how often it was done, the seconds, how often it failed, and the median and 99th percentile of
            the response time in milliseconds.
        """
        method: Callable[[Any, int], Awaitable[bool]] = getattr(self, f"do_{work}")
        began = time.perf_counter()
        took: list[float] = []
        failed = 0

        async def user(number: int) -> None:
            nonlocal failed
            connection = None
            while (time.perf_counter() < began + seconds) if seconds else (len(took) < count):
                then = time.perf_counter()
                try:
                    connection = connection or await Connection.open(self._reactor, self._api)
                    good = await method(connection, number * 7919 + len(took))
                except (Refusal, OSError):
                    good, connection = False, None
                took.append(time.perf_counter() - then)
                failed += not good
            if connection is not None and connection.transport is not None:
                connection.transport.loseConnection()

        await gatherResults([Deferred.fromCoroutine(user(number)) for number in range(at_once)])
        took.sort()
        return {
            "count": len(took),
            "seconds": time.perf_counter() - began,
            "failed": failed,
            "p50_ms": 1e3 * took[len(took) // 2],
            "p99_ms": 1e3 * took[int(0.99 * (len(took) - 1))],
        }

    def _server(self, number: int) -> Any:
        host = self._first + number % self._hosts
        return domain(host, number // self._hosts % self._domains, self._domains)

    async def do_link(self, http: Connection, number: int) -> bool:
        """A user requests a link."""
        path = f"/v2.1/servers/{self._server(number).uuid}/remote-consoles"
        status, answer = await http.ask("POST", path, _LINK)
        if status == 200:
            query = urlsplit(answer["remote_console"]["url"]).query
            self.tokens.append(parse_qs(query)["token"][0])
        return status == 200

    async def do_check(self, _http: Connection, number: int) -> bool:
        """A proxy checks a token."""
        await self._proxy.check_token(self.tokens[number % len(self.tokens)], "novnc", ADDRESS)
        return True

    async def do_lease(self, _http: Connection, number: int) -> bool:
        """A proxy renews the lease of a session."""
        await self._proxy.keep_token(self.tokens[number % len(self.tokens)], ADDRESS)
        return True

    async def do_unknown(self, http: Connection, _number: int) -> bool:
        """A user asks for a server that does not exist."""
        status, _ = await http.ask("GET", f"/v2.1/servers/{_UNKNOWN}")
        return status == 404

    async def do_list(self, http: Connection, number: int) -> bool:
        """A user lists the servers of a project."""
        status, _ = await http.ask("GET", f"/v2.1/servers?all_tenants=1&project_id={self._server(number).project_id}")
        return status == 200

    async def do_services(self, http: Connection, _number: int) -> bool:
        """An administrator lists the consoleauths."""
        status, _ = await http.ask("GET", "/v2.1/os-services?binary=nova-consoleauth")
        return status == 200

    async def do_page(self, http: Connection, _number: int) -> bool:
        """An administrator reads a page of 1,000 sessions."""
        status, _ = await http.ask("GET", "/console/v1/sessions?limit=1000")
        return status == 200

    async def do_show(self, http: Connection, _number: int) -> bool:
        """An administrator reads one session."""
        status, _ = await http.ask("GET", f"/console/v1/sessions/{self.session}")
        return status == 200

    async def do_revoke(self, http: Connection, _number: int) -> bool:
        """An administrator revokes a link."""
        status, _ = await http.ask("POST", "/console/v1/revocations", {"token": self.tokens.pop()})
        return status == 200

    async def use(self, session: str) -> None:
        """Use this session in :meth:`do_show`."""
        self.session = session


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """Run the parent's commands."""
    generator = Generator(reactor, *map(int, arguments))

    async def cpu() -> float:
        return time.process_time()

    return Obeying.start(start=generator.start, repeat=generator.repeat, use=generator.use, cpu=cpu)


if __name__ == "__main__":
    react(main, sys.argv[1:])
