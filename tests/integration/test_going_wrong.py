"""Failures between six processes, Redis, two libvirtds and their VMs, and what users see then."""

import signal
from typing import Any

from novnc_twisted.errors import (
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    Refusal,
    ServiceUnavailable,
)
from tests.integration.test_redis_services import CloudCase
from tests.support.cloud import Cloud, together
from tests.support.libvirtd import in_thread
from tests.support.twistd import free_port

LOST = "cannot be reached ("
"""The log line for a lost Redis."""


class GoingWrongCase(CloudCase):
    """Assertions about what users see."""

    async def links(self, uuid: str) -> tuple[str, str]:
        """A new link at each proxy."""
        return await self.cloud.console(uuid, "novnc"), await self.cloud.console(uuid, "xvpvnc")

    async def refused(self, links: tuple[str, str], *rows: type[Refusal]) -> None:
        """Assert that both consoles are refused with one of these rows of the table."""
        (code, sentence), (status, words) = await together(*(self.cloud.viewers.refusal(url) for url in links))
        self.assertIn((code, sentence), [(row.close_code, row.sentence) for row in rows])
        self.assertIn((status, words), [(row.status, row.sentence) for row in rows])

    async def work(self, links: tuple[str, str], name: str) -> None:
        """Assert that both consoles show this VM."""
        for url in links:
            await (await self.shows(url, name)).leave()

    async def api_unavailable(self, uuid: str) -> None:
        """Assert that no console can be created now."""
        answer = await self.cloud.ask_console(uuid)
        self.assertEqual(answer.status, 503, answer)
        self.assertIn(ServiceUnavailable.sentence, str(answer.body))

    def no_traceback(self) -> None:
        self.assertNotIn("Traceback", self.cloud.heard())


class ServicesTests(GoingWrongCase):
    """Redis, consoleauth or a compute host is not available."""

    async def test_redis_down_at_start(self) -> None:
        self.cloud = cloud = await Cloud(self).start(redis=False)
        await cloud.said(LOST)
        self.red, self.blue = await together(cloud.one.define("myserver20"), cloud.two.define("myserver21"))
        await self.api_unavailable(self.red)
        await in_thread(cloud.redis.start)
        await cloud.said("is back")
        await self.consoles_work()
        self.no_traceback()

    async def test_redis_killed(self) -> None:
        """Sessions stay, no new ones begin, and everything works again once Redis is back."""
        cloud = await self.start()
        links = await self.links(self.red)
        await self.sessions()
        cloud.redis.kill()
        # At once, and when every service has noticed it.
        for _ in range(2):
            await together(self.refused(links, ServiceUnavailable), self.api_unavailable(self.red))
            await cloud.said(LOST)
        listed, console = await cloud.clients(
            ("openstack server list", cloud.none("openstack")),
            ("nova get-vnc-console myserver20 novnc", cloud.none("nova")),
        )
        for ran in (listed, console):
            self.assertEqual(ran.code, 1)
            self.assertIn(ServiceUnavailable.sentence, ran.errors)
        await self.flow()
        await in_thread(cloud.redis.start)
        await cloud.said("is back")
        await self.consoles_work()
        await self.flow()
        await self.refused(links, InvalidToken)  # this Redis stores nothing on disk
        self.assertEqual(cloud.heard().count(LOST), len(cloud.names))
        self.no_traceback()

    async def test_redis_frozen(self) -> None:
        """The same with a Redis that hangs: it loses no data, so the links stay valid."""
        cloud = await self.start()
        links = await self.links(self.red)
        await self.sessions()
        cloud.redis.freeze()
        self.addCleanup(cloud.redis.thaw)
        for _ in range(2):
            await together(self.refused(links, ServiceUnavailable), self.api_unavailable(self.red))
            await cloud.said(LOST)
        await self.flow()
        cloud.redis.thaw()
        await cloud.said("is back")
        await self.consoles_work()
        await self.flow()
        for url in links:
            await (await self.cloud.viewers.open(url)).ready()
        self.no_traceback()

    async def test_redis_restarted_with_its_data(self) -> None:
        """With an append-only file, tokens survive."""
        cloud = await self.start(redis_options=("appendonly yes", "appendfsync always"))
        links = await self.links(self.red)
        cloud.redis.kill()
        await cloud.said(LOST)
        await in_thread(cloud.redis.start)
        await cloud.said("is back")
        await self.work(links, "myserver20")

    async def test_consoleauth_killed(self) -> None:
        cloud = await self.start()
        links = await self.links(self.red)
        await cloud.kill("consoleauth", signal.SIGKILL)
        # While it still counts as alive, and afterwards.
        for _ in range(2):
            await together(self.refused(links, ServiceUnavailable), self.api_unavailable(self.red))
        await cloud.back("consoleauth")
        await self.work(links, "myserver20")
        await cloud.kill("consoleauth", signal.SIGTERM)
        await together(self.refused(links, ServiceUnavailable), self.api_unavailable(self.red))
        await cloud.back("consoleauth")
        await self.work(links, "myserver20")
        self.no_traceback()

    async def test_compute_killed(self) -> None:
        cloud = await self.start()
        links = await self.links(self.red)
        await cloud.kill("consolecompute compute1", signal.SIGKILL)
        # It still counts as alive: all servers are listed nevertheless, within the deadline.
        listed, shown, _ = await together(
            cloud.client("openstack server list", cloud.none("openstack")),
            cloud.ask_console(self.red),
            self.refused(links, ServiceUnavailable),
        )
        # The state of myserver20 depends on whether the presence of its host has expired by then.
        self.assertEqual(sorted(row[1] for row in listed.rows()[1:]), ["myserver20", "myserver21"])
        self.assertEqual(shown.status, 503)
        expected = [("myserver20", "UNKNOWN"), ("myserver21", "ACTIVE")]
        await self.gone_from_services("compute1")
        await self.listed(dict(expected))
        listed, by_name, by_id, services = await cloud.clients(
            ("openstack server list", cloud.none("openstack")),
            ("nova get-vnc-console myserver20 novnc", cloud.none("nova")),
            (f"openstack console url show --novnc {self.red}", cloud.none("openstack")),
            ("nova service-list", cloud.none("nova")),
        )
        self.assertEqual(sorted((row[1], row[2]) for row in listed.rows()[1:]), expected)
        for ran in (by_name, by_id):
            self.assertEqual(ran.code, 1, ran)
            self.assertIn(ServiceUnavailable.sentence, ran.errors)
            self.assertNotIn("Traceback", ran.errors)
        self.assertNotIn("compute1", services.output)
        await self.refused(links, ServiceUnavailable)  # it is not known whether the server is gone
        await (await self.shows(await cloud.console(self.blue), "myserver21")).leave()
        await cloud.back("consolecompute compute1")
        await self.work(links, "myserver20")
        self.no_traceback()

    async def gone_from_services(self, host: str) -> None:
        """Wait until os-services no longer shows the host."""
        while True:
            answer = await self.cloud.api("GET", "os-services")
            if host not in str(answer.body):
                return

    async def listed(self, expected: dict[str, str]) -> None:
        """Wait until the list shows these states."""
        states: dict[str, str] = {}
        while states != expected:
            listed = await self.cloud.api("GET", "servers/detail")
            states = {server["name"]: server["status"] for server in listed.body["servers"]}

    async def test_libvirtd(self) -> None:
        """libvirtd hangs, is killed, and is restarted: VMs continue, and their tokens stay valid."""
        cloud = await self.start()
        links = await self.links(self.red)
        cloud.one.libvirtd.freeze()
        self.addCleanup(cloud.one.libvirtd.thaw)
        _, _, other = await together(
            self.refused(links, ServiceUnavailable), self.api_unavailable(self.red), cloud.ask_console(self.blue)
        )
        self.assertEqual(other.status, 200)
        await self.listed({"myserver20": "UNKNOWN", "myserver21": "ACTIVE"})
        cloud.one.libvirtd.thaw()
        # If it hung for long, the compute service has closed the connection, and now reconnects.
        while (await cloud.ask_console(self.red)).status != 200:
            pass
        await self.work(links, "myserver20")
        await in_thread(cloud.one.libvirtd.kill)
        await cloud.processes["consolecompute compute1"].seen("can't be reached (")
        await together(self.refused(links, ServiceUnavailable), self.api_unavailable(self.red))
        await in_thread(cloud.one.libvirtd.start)
        # libvirtd may not have found its QEMUs yet, so only the calls of our services are tried.
        for url in (*links, *await self.links(self.red)):
            viewer = await (await cloud.viewers.open(url)).ready()
            self.assertEqual(viewer.name, "myserver20")
            await viewer.type("r")
            await viewer.leave()
        self.no_traceback()


class ServersTests(GoingWrongCase):
    """A VM stops, is removed, comes back, or exists twice."""

    async def test_stopped(self) -> None:
        cloud = await self.start()
        links = await self.links(self.red)
        await cloud.one.virsh("destroy", "myserver20")
        await self.refused(links, InstanceNotRunning)
        self.assertEqual((await cloud.ask_console(self.red)).status, 409)
        printed = await cloud.client("nova get-vnc-console myserver20 novnc", cloud.none("nova"))
        self.assertIn("(HTTP 409)", printed.errors)
        await in_thread(cloud.one.libvirtd.start_vm, "myserver20")
        await self.work(links, "myserver20")
        self.no_traceback()

    async def test_port_taken_by_another(self) -> None:
        """CVE-2013-0335: a new VM gets the port of a transient VM, or of one that was undefined."""
        cloud = await self.start()
        port = free_port()
        graphics = f"<graphics type='vnc' port='{port}' autoport='no'/>"
        links: list[tuple[str, str]] = []
        for name, make in (("first", cloud.one.create), ("second", cloud.one.define), ("third", cloud.one.create)):
            uuid = await make(name, graphics=graphics)
            for old in links:
                await self.refused(old, InstanceNotFound, InvalidToken)
            viewer = await cloud.viewers.open(await cloud.console(uuid))
            await viewer.ready()
            self.assertEqual((viewer.name, await cloud.one.port(name)), (name, port))
            await viewer.leave()
            if name == "third":
                break
            links.append(await self.links(uuid))
            await cloud.one.virsh("destroy", name)
            if name == "second":
                await self.refused(links[-1], InstanceNotRunning)
                await cloud.one.virsh("undefine", name)
        self.no_traceback()

    async def test_port_taken_while_nobody_looked(self) -> None:
        """The same while the compute service was stopped, so that it missed the event."""
        cloud = await self.start()
        port = free_port()
        graphics = f"<graphics type='vnc' port='{port}' autoport='no'/>"
        links = await self.links(await cloud.one.create("first", graphics=graphics))
        await cloud.kill("consolecompute compute1", signal.SIGKILL)
        await cloud.one.virsh("destroy", "first")
        second = await cloud.one.create("second", graphics=graphics)
        await cloud.back("consolecompute compute1")
        await self.refused(links, InstanceNotFound, InvalidToken)
        viewer = await cloud.viewers.open(await cloud.console(second))
        self.assertEqual(viewer.name, "second")

    async def test_moved(self) -> None:
        """After a live migration, or a move while it is stopped, the same token finds the VM."""
        cloud = await self.start()
        uuid = await cloud.one.create("wanderer")
        links = await self.links(uuid)
        viewer: Any = await (await cloud.viewers.open(links[0])).ready()
        await viewer.type("m")
        move = ("migrate", "--live", "--p2p", "wanderer", cloud.two.libvirtd.uri)
        await cloud.one.virsh(*move, f"unix://{cloud.one.libvirtd.root}/s/m")
        self.assertEqual((await viewer.closed())[0], 4504)
        for url in links:
            again = await (await cloud.viewers.open(url)).ready()
            self.assertEqual(again.name, "wanderer")
            await again.type("m")
        self.assertEqual(await cloud.two.text("wanderer", 6), "> mmm")
        await cloud.two.virsh("destroy", "wanderer")
        await self.refused(links, InstanceNotFound, InvalidToken)
        # Stopped and undefined here, defined and started there.
        links = await self.links(self.red)
        await cloud.one.virsh("destroy", "myserver20")
        await in_thread(cloud.two.libvirtd.define, cloud.two.xml("myserver20", "red", identity=self.red))
        await cloud.one.virsh("undefine", "myserver20")
        await self.refused(links, InstanceNotRunning)
        await in_thread(cloud.two.libvirtd.start_vm, "myserver20")
        for url in links:
            await (await (await cloud.viewers.open(url)).ready()).type("s")
        self.assertEqual(await cloud.two.text("myserver20", 6), "> ss")
        self.no_traceback()

    async def test_two_run(self) -> None:
        """A UUID runs on several hosts: the token's host is used, or the only one; otherwise the console is refused."""
        cloud = await self.start(hosts=3)
        third = cloud.hosts["compute3"]
        links = await self.links(self.red)
        await together(*(host.create("myserver20", project="red", identity=self.red) for host in (cloud.two, third)))
        await self.work(links, "myserver20")
        await cloud.one.virsh("destroy", "myserver20")
        await self.refused(links, ConsoleUnreachable)
        await cloud.processes["consoleauth"].seen(f"server {self.red} runs on compute2 and compute3")
        await third.virsh("destroy", "myserver20")
        for url in links:
            await (await (await cloud.viewers.open(url)).ready()).type("t")
        self.assertEqual(await cloud.two.text("myserver20", 6), "> tt")
        self.no_traceback()
