"""consoleauth and compute hosts, each with a real libvirtd and QEMUs, for tests."""

import contextlib
import socket
from typing import Any
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.events.records import Event, TokenRevoked
from novnc_twisted.messaging.memory import MemoryTransport
from tests.support.handed_out import secret
from tests.support.libvirtd import PrivateLibvirtd, WatchedDriver, in_thread, private_libvirtd, small_domain
from tests.support.logged import Logged

VIEWER = "192.0.2.7"


def greeting(host: str, port: int) -> bytes:
    """Return the first bytes that a VNC server sends."""
    with socket.create_connection((host, port), 10) as connection:
        return connection.recv(12)


class LibvirtCase(TestCase):
    timeout = 300

    async def setUp(self) -> None:
        self.logged = Logged(self)
        self.transport = MemoryTransport(reactor)
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.dropped: Deferred[str] = Deferred()
        self.auth = ConsoleAuthManager(self.transport, reactor, observer=self.token_event)
        await self.auth.start()
        self.addCleanup(self.auth.stop)
        self.consoleauth, self.compute = ConsoleAuthAPI(self.transport), ComputeAPI(self.transport)
        self.uuid = str(uuid4())

    def token_event(self, event: Event) -> None:
        """Notify the test when consoleauth drops the tokens of a server that is gone."""
        if isinstance(event, TokenRevoked) and event.reason == "the server is gone":
            self.dropped.callback(event.instance_uuid)

    async def host(self, libvirtd: PrivateLibvirtd, name: str = "one", **settings: Any) -> WatchedDriver:
        """Start a compute host on this libvirtd."""
        driver = WatchedDriver(libvirtd.uri, **settings)
        manager = ComputeManager(self.transport, driver, host=name, shutdown_timeout=1)
        self.addCleanup(manager.stop)
        await manager.start()
        return driver

    async def token(self, console_type: str = "novnc", owner: str | None = None) -> str:
        """Make a token for our VM as the API does."""
        console = await self.compute.get_vnc_console(self.uuid, console_type)
        await self.consoleauth.authorize_console(console.token, console.connect_info, owner=owner)
        return secret(console.token)

    async def check(self, token: str) -> Any:
        return await self.consoleauth.check_token(token, "novnc", VIEWER)

    async def refused(self, kind: type[Refusal], work: Any) -> Refusal:
        """Assert that the call is refused, and return the refusal."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)

    async def listed(self, *expected: Any, fields: tuple[str, ...] = ("uuid", "state", "host")) -> list[Any]:
        """Wait until the list of servers is this, and return it: hosts publish changes in a fraction of a second."""
        while True:
            with contextlib.suppress(ServiceUnavailable):
                servers = await self.compute.list_instances()
                if [tuple(getattr(server, field) for field in fields) for server in servers] == list(expected):
                    return servers
            await deferLater(reactor, 0.05, lambda: None)

    async def list_refused(self) -> None:
        """Wait until lists are refused: a host has published that its libvirt does not answer."""
        with contextlib.suppress(ServiceUnavailable):
            while True:
                await self.compute.list_instances()
                await deferLater(reactor, 0.05, lambda: None)


class OneHostCase(LibvirtCase):
    """One compute host, and our VM on it."""

    async def setUp(self) -> None:
        await super().setUp()
        self.libvirtd = await private_libvirtd(self)
        self.driver = await self.host(self.libvirtd)
        await self.driver.seen(Change.CONNECTED)

    async def create(self, **more: Any) -> None:
        """Start our VM as a transient one."""
        await in_thread(self.libvirtd.create, small_domain("myserver20", identity=self.uuid, **more))

    async def define_and_start(self, **more: Any) -> None:
        """Start our VM as a persistent one."""
        await in_thread(self.libvirtd.define, small_domain("myserver20", identity=self.uuid, **more))
        await in_thread(self.libvirtd.start_vm, "myserver20")

    async def port_of(self, name: str) -> int:
        names = await in_thread(self.libvirtd.virsh, "domuuid", name)
        uuid = names.strip()
        return int((await self.driver.get_domain(uuid)).vnc.port)
