"""All services in one process, for tests; each logs in to a real Redis as the user of its role."""

from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.errors import Refusal
from novnc_twisted.messaging import transport_from_url
from tests.compute.harness import A, B, FakeDriver, domain
from tests.integration.redis_case import RedisTestCase
from tests.support.redis_server import RedisServer
from tests.support.redis_users import ADMIN, RedisUsers

ADDRESSES = {"one": "192.0.2.1", "two": "192.0.2.2"}
NAMES = ("api", "consoleauth", "proxy", *(f"compute.{host}@{address}" for host, address in ADDRESSES.items()))
VIEWER = "198.51.100.7"


class RolesCase(RedisTestCase):
    """VM A of project red runs on host ``one``, VM B of project blue on host ``two``.

    :ivar authority: calls consoleauth as the API.
    :ivar door: calls consoleauth as a proxy.
    """

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.redis = RedisServer(self, start=False, options=("enable-debug-command yes",))
        self.users = RedisUsers(self, self.redis, NAMES)
        self.redis.start()
        self.auth = ConsoleAuthManager(await self.login("consoleauth"), reactor)
        await self.auth.start()
        self.addCleanup(self.auth.stop)
        self.drivers: dict[str, FakeDriver] = {}
        self.managers: dict[str, ComputeManager] = {}
        for host, uuid, project, port in (("one", A, "red", 5900), ("two", B, "blue", 5901)):
            driver = self.drivers[host] = FakeDriver(reactor)  # type: ignore[arg-type]
            driver.add(domain(uuid, f"of-{project}", port, project_id=project))
            driver.passwords[uuid] = "vnc-secret"
            manager = self.managers[host] = ComputeManager(
                await self.login(f"compute.{host}"), driver, host=host, server_proxyclient_address=ADDRESSES[host]
            )
            await manager.start()
            self.addCleanup(manager.stop)
        self.api = await self.login("api")
        self.compute, self.authority = ComputeAPI(self.api), ConsoleAuthAPI(self.api)
        self.proxy = await self.login("proxy")
        self.door = ConsoleAuthAPI(self.proxy)

    async def login(self, name: str) -> Any:
        """Start a transport as that user."""
        transport = transport_from_url(reactor, self.users.urls[name], name.partition(".")[0])
        self.addCleanup(transport.stop)
        await transport.start()
        return transport

    async def make_token(self, uuid: str = A) -> str:
        """Make a token as the API does."""
        server = await self.compute.find(uuid)
        console = await self.compute.get_vnc_console(uuid, "novnc")
        project = server.project_id
        info = replace(console.connect_info, user_id="u", project_id=project)
        await self.authority.authorize_console(console.token, info, owner=project)
        return console.token

    def admin(self, *words: str) -> Any:
        """Run a Redis command with all rights."""
        return self.redis.command(*words, login=ADMIN)

    def stolen(self, name: str, *words: str | bytes) -> Any:
        """Run a Redis command with the credential of a role."""
        return self.redis.command(*words, login=self.users.login(name))

    async def refused(self, kind: type[Refusal], called: Any) -> str:
        """Assert that a call is refused, and return the detail."""
        with self.assertRaises(kind) as caught:
            await called if isinstance(called, Deferred) else await Deferred.fromCoroutine(called)
        return caught.exception.detail
