"""Services with roles work in whatever order they and Redis start, and after Redis has lost its data."""

import random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging import transport_from_url
from tests.compute.harness import A, FakeDriver, domain
from tests.integration.redis_case import RedisTestCase
from tests.integration.redis_roles import ADDRESSES, NAMES, VIEWER
from tests.support.redis_server import RedisServer
from tests.support.redis_users import ADMIN, RedisUsers

DELAY = 1.5
"""The longest delay of a start, in seconds: longer than the time after which missing scripts are reported."""


class OrderTests(RedisTestCase):
    """Each service waits for what it needs, and tries nothing without permission: ``ACL LOG`` stays empty."""

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.redis = RedisServer(self, start=False)
        self.users = RedisUsers(self, self.redis, NAMES)

    async def login(self, name: str) -> Any:
        transport = transport_from_url(reactor, self.users.urls[name], name.partition(".")[0])
        self.addCleanup(transport.stop)
        await transport.start()
        return transport

    async def consoleauth(self) -> None:
        auth = ConsoleAuthManager(await self.login("consoleauth"), reactor)
        self.addCleanup(auth.stop)
        await auth.start()

    async def compute(self) -> None:
        driver = FakeDriver(reactor)  # type: ignore[arg-type]
        driver.add(domain(A, "myserver20", 5900, project_id="red"))
        address = ADDRESSES["one"]
        transport = await self.login("compute.one")
        manager = ComputeManager(transport, driver, host="one", server_proxyclient_address=address)
        self.addCleanup(manager.stop)
        await manager.start()

    async def api(self) -> None:
        self.api_transport = await self.login("api")

    async def novncproxy(self) -> None:
        self.proxy_transport = await self.proxy("novncproxy")

    async def xvpvncproxy(self) -> None:
        await self.proxy("xvpvncproxy")

    async def proxy(self, name: str) -> Any:
        transport = await self.login("proxy")
        await transport.announce(f"{name}.control", binary=f"nova-{name}", host="control")
        return transport

    async def start(self, name: str, delay: float) -> None:
        await self.pause(delay)
        if name == "redis":
            self.redis.start()
        else:
            await getattr(self, name)()

    async def console(self) -> str:
        """Make a link as the API does, and check it as a proxy does."""
        console = await ComputeAPI(self.api_transport, deadline=1.0).get_vnc_console(A, "novnc")
        await ConsoleAuthAPI(self.api_transport, deadline=1.0).authorize_console(console.token, console.connect_info)
        info = await ConsoleAuthAPI(self.proxy_transport, deadline=1.0).check_token(console.token, "novnc", VIEWER)
        return info.host

    async def until_it_works(self) -> None:
        """Retry until the test's time-out; the only error until then may be 'not available'."""
        while True:
            try:
                self.assertEqual(await self.console(), ADDRESSES["one"])
                found = [one.topic for one in await self.api_transport.services()]
            except Refusal as refusal:
                self.assertIsInstance(refusal, ServiceUnavailable)
                await self.pause(0.05)
            else:
                if len(found) == 4:
                    return

    def log(self) -> Any:
        """What Redis has denied."""
        return self.redis.command("ACL", "LOG", login=ADMIN)

    async def test_any_order(self) -> None:
        await self.in_order(1)

    async def test_any_other_order(self) -> None:
        await self.in_order(2)

    async def in_order(self, seed: int) -> None:
        chance = random.Random(seed)
        names = ["redis", "consoleauth", "compute", "api", "novncproxy", "xvpvncproxy"]
        chance.shuffle(names)
        starting = [self.start(name, chance.uniform(0, DELAY)) for name in names]
        await gatherResults([Deferred.fromCoroutine(one) for one in starting])
        await self.until_it_works()
        # Flushed, then restarted empty: the others find no scripts until consoleauth has loaded them.
        self.redis.command("SCRIPT", "FLUSH", login=ADMIN)
        await self.until_it_works()
        self.redis.command("FLUSHALL", login=ADMIN)
        await self.until_it_works()
        self.assertEqual(self.log(), [])
        self.redis.kill()
        await self.pause(chance.uniform(0, DELAY))
        self.redis.start()
        await self.until_it_works()
        self.assertEqual(self.log(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_without_a_consoleauth(self) -> None:
        """Calls fail at their deadlines; each transport logs one line, and one when the scripts are there."""
        self.redis.start()
        await gatherResults([Deferred.fromCoroutine(one) for one in (self.compute(), self.api(), self.novncproxy())])
        await self.until(lambda: len(self.logged.lines("a consoleauth loads them when it connects")) == 2)
        detail = await self.fails(self.api_transport.call("compute.one", "list_instances", deadline=0.3))
        self.assertEqual(detail, "compute.one did not answer within 0.3 s")
        self.assertIn("no consoleauth has loaded them", await self.fails(self.api_transport.services()))
        self.assertEqual(len(self.logged.lines("a consoleauth loads them when it connects")), 3)
        self.assertEqual(self.log(), [])
        await self.consoleauth()
        await self.api_transport.services()
        await self.until(lambda: len(self.logged.lines("has the scripts")) == 3)
        self.assertEqual(self.log(), [])
