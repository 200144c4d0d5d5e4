"""Six processes with Redis, two of them compute hosts: unmodified clients, sessions, restarts, an orderly end."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import Stopping
from tests.api.harness import quick_hash
from tests.api.users import basic as basic_field
from tests.session.harness import refused
from tests.support.cloud import Cloud, together, token_in
from tests.support.cloud_clients import Ran
from tests.support.viewer import Viewer
from tests.support.vnc_server import FakeVNCServer

BINARIES = [
    ("nova-compute", "compute1"),
    ("nova-compute", "compute2"),
    ("nova-consoleauth", "control"),
    ("nova-novncproxy", "control"),
    ("nova-xvpvncproxy", "control"),
]


class CloudCase(TestCase):
    """A cloud with a VM on each compute host."""

    timeout = 300
    administrator: Mapping[str, str] = {}
    """The header fields with which an administrator asks the API."""

    async def start(self, **more: Any) -> Cloud:
        """``myserver20`` of project red on compute1, ``myserver21`` of project blue on compute2."""
        self.cloud = cloud = await Cloud(self, **more).start()
        self.red, self.blue = await together(
            cloud.one.define("myserver20", project="red"), cloud.two.define("myserver21", project="blue")
        )
        await self.until_listed("myserver20", "myserver21")
        return cloud

    async def until_listed(self, *names: str) -> None:
        """Wait until the API lists these servers as running; hosts publish them first."""
        running: set[str] = set()
        while not running >= set(names):
            answer = await self.cloud.api("GET", "servers/detail?all_tenants=1", headers=dict(self.administrator))
            servers = answer.body.get("servers", ())
            running = {server["name"] for server in servers if server["status"] == "ACTIVE"}
            await deferLater(reactor, 0.05, lambda: None)

    async def shows(self, url: str, name: str) -> Viewer:
        """Assert that the URL leads to this VM's screen and keyboard, and return the viewer."""
        viewer = await self.cloud.viewers.open(url)
        self.assertEqual(viewer.name, name)
        await self.is_screen_of(viewer, name)
        return viewer

    async def is_screen_of(self, viewer: Viewer, name: str) -> None:
        """Assert that the viewer shows what the VM's VNC server shows, and that keys reach the VM's memory."""
        host, other, others = self.cloud.one, self.cloud.two, "myserver21"
        if name == "myserver21":
            host, other, others = other, host, "myserver20"
        await viewer.ready()
        direct = await (await self.cloud.viewers.direct(host.address, await host.port(name))).ready()
        self.assertEqual(direct.name, f"QEMU ({name})")
        self.assertEqual(viewer.text(1), direct.text(1))
        await direct.leave()
        typed, elsewhere = await host.text(name, 6), await other.text(others, 6)
        key = "abcdefghijklmnopqrstuvwxyz"[len(typed) % 26]
        await viewer.type(key)
        self.assertEqual(await host.text(name, 6), typed + key if typed != ">" else f"> {key}")
        self.assertEqual(await other.text(others, 6), elsewhere)

    async def consoles_work(self) -> None:
        """Assert that new consoles of both VMs at both proxies work at the first attempt."""
        for uuid, name in ((self.red, "myserver20"), (self.blue, "myserver21")):
            for kind in ("novnc", "xvpvnc"):
                viewer = await self.cloud.viewers.open(await self.cloud.console(uuid, kind))
                self.assertEqual(viewer.name, name)
                await viewer.ready()
                await viewer.type("n")
                await viewer.leave()

    async def sessions(self) -> None:
        """A session at each proxy, with continuous traffic in both directions."""
        cloud = self.cloud
        urls = [await cloud.console(self.red, "novnc"), await cloud.console(self.blue, "xvpvnc")]
        self.flows = [Flow(cloud, await (await cloud.viewers.open(url)).ready()) for url in urls]

    async def flow(self) -> None:
        """Assert that both sessions are live."""
        await together(*(flow.more() for flow in self.flows))


def url_in(ran: Ran) -> str:
    """The URL in a client's table."""
    return next(cell for row in ran.rows() for cell in row if cell.startswith("http"))


class ClientsTests(CloudCase):
    """The output of unmodified clients, and where its URLs lead."""

    async def test_noauth(self) -> None:
        cloud = await self.start()
        nova, openstack = cloud.none("nova"), cloud.none("openstack")
        listed, services, servers, *consoles = await cloud.clients(
            ("nova list", nova),
            ("nova service-list", nova),
            ("openstack server list", openstack),
            ("nova get-vnc-console myserver20 novnc", nova),
            ("nova get-vnc-console myserver21 xvpvnc", nova),
            ("openstack console url show --novnc myserver21", openstack),
            ("openstack console url show --xvpvnc myserver20", openstack),
        )
        both = [[self.red, "myserver20", "ACTIVE"], [self.blue, "myserver21", "ACTIVE"]]
        self.assertEqual([row[:3] for row in listed.rows()[1:]], both)
        self.assertEqual(sorted(row[:3] for row in servers.rows()[1:]), sorted(both))
        rows = services.rows()
        columns = [rows[0].index(name) for name in ("Binary", "Host", "Status", "State")]
        found = sorted(tuple(row[column] for column in columns) for row in rows[1:])
        self.assertEqual(found, [(*one, "enabled", "up") for one in BINARIES])
        for console, name in zip(consoles, ("myserver20", "myserver21", "myserver21", "myserver20"), strict=True):
            await self.shows(url_in(console), name)
        shown, unknown, nobody = await cloud.clients(
            (f"openstack console connection show {token_in(url_in(consoles[1]))}", openstack),
            ("openstack console connection show 0b3a1c7e-2f5d-4e0b-9c43-6a1f7d2e8b90", openstack),
            ("nova get-vnc-console nobody novnc", nova),
        )
        place = dict(row[:2] for row in shown.rows()[1:])
        self.assertEqual(place["instance_uuid"], self.blue)
        self.assertEqual((place["host"], place["port"]), (cloud.two.address, str(await cloud.two.port("myserver21"))))
        self.assertIn("Token not found", unknown.errors)
        self.assertIn("No server with a name or ID of 'nobody' exists", nobody.errors)
        self.assertNotIn("Traceback", cloud.heard())

    async def test_http_basic(self) -> None:
        """Two projects: each sees its own servers, with both ways to log in."""
        users = Path(self.mktemp()).absolute()
        passwords = {"alice": "r3d:pass", "bob": "blue pass", "root": "toor"}
        projects = {"alice": ":red", "bob": ":blue", "root": ""}
        lines = [f"{user}:{quick_hash(password)}{projects[user]}\n" for user, password in passwords.items()]
        users.write_text("".join(lines))
        self.administrator = {"Authorization": basic_field("root", passwords["root"])}
        cloud = await self.start(
            more={"api": f"auth_strategy = http_basic\nhttp_basic_auth_user_file = {users}\nadmin_users = root\n"},
        )

        def basic(client: str, user: str) -> dict[str, str]:
            return cloud.basic(client, user, passwords[user])

        def identity(user: str, project: str) -> dict[str, str]:
            return cloud.password(user, passwords[user], project)

        alice, bob, root = identity("alice", "red"), identity("bob", "blue"), identity("root", "anything")
        listed, servers, everything, services, forbidden = await cloud.clients(
            ("nova list", basic("nova", "alice")),
            ("openstack server list", bob),
            ("openstack server list", basic("openstack", "root")),
            ("nova service-list", root),
            ("nova service-list", alice),
        )
        self.assertEqual([row[1] for row in listed.rows()[1:]], ["myserver20"])
        self.assertEqual([row[1] for row in servers.rows()[1:]], ["myserver21"])
        self.assertEqual(sorted(row[1] for row in everything.rows()[1:]), ["myserver20", "myserver21"])
        self.assertEqual(len(services.rows()), 1 + len(BINARIES))
        self.assertIn("Policy doesn't allow", forbidden.errors)
        reds = await cloud.clients(
            ("nova get-vnc-console myserver20 novnc", alice),
            ("nova get-vnc-console myserver20 xvpvnc", basic("nova", "alice")),
            ("openstack console url show --xvpvnc myserver20", alice),
            ("openstack console url show --novnc myserver20", basic("openstack", "alice")),
        )
        blues = await cloud.clients(
            ("nova get-vnc-console myserver21 novnc", basic("nova", "bob")),
            ("openstack console url show --xvpvnc myserver21", basic("openstack", "bob")),
        )
        for console, name in [(ran, "myserver20") for ran in reds] + [(ran, "myserver21") for ran in blues]:
            await self.shows(url_in(console), name)
        show = f"openstack console connection show {token_in(url_in(blues[0]))}"
        shown, denied, foreign, wrong, elsewhere = await cloud.clients(
            (show, root),
            (show, bob),
            (f"nova get-vnc-console {self.blue} novnc", alice),
            ("nova list", cloud.password("alice", "wrong", "red")),
            ("openstack server list", cloud.password("alice", passwords["alice"], "blue")),
        )
        self.assertIn(self.blue, shown.output)
        self.assertIn("Policy doesn't allow", denied.errors)
        self.assertIn(f"'{self.blue}' exists", foreign.errors)
        self.assertRegex(wrong.errors + elsewhere.errors, "(?s)requires authentication.*requires authentication")
        self.assertNotIn("Traceback", cloud.heard())


class Flow:
    """Types into a console until it is cancelled, and waits for each key to appear: bytes in both directions.

    :ivar keys: how many keys have appeared.
    """

    def __init__(self, cloud: Cloud, viewer: Viewer) -> None:
        self._cloud, self._viewer = cloud, viewer
        self._lost: AssertionError | None = None
        self.keys = 0
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._ended)
        cloud.case.addCleanup(self._running.cancel)

    async def more(self, count: int = 3) -> None:
        """Wait until this many more keys have appeared."""
        if self._lost is not None:
            raise self._lost
        awaited: Deferred[None] = Deferred()
        self._waiting.append((self.keys + count, awaited))
        await awaited.addTimeout(120, reactor)

    async def _run(self) -> None:
        while True:
            await self._viewer.type("abcdefghijklmnopqrstuvwxyz"[self.keys % 26])
            self.keys += 1
            for item in [one for one in self._waiting if one[0] <= self.keys]:
                self._waiting.remove(item)
                item[1].callback(None)
            await self._viewer.update()  # the blinking cursor sets the pace

    def _ended(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        ends = [line for line in self._cloud.heard().splitlines() if "ended in phase" in line]
        self._lost = AssertionError(f"{self._viewer.name} after {self.keys} keys: {failure.value!r}; {ends}")
        waiting, self._waiting = self._waiting, []
        for _, awaited in waiting:
            awaited.errback(self._lost)


class SurvivalTests(CloudCase):
    """A session survives restarts of the services that made it; new sessions work without further restarts."""

    async def test_services_restarted(self) -> None:
        cloud = await self.start()
        await self.sessions()
        for name in ("consoleauth", "consoleapi", "consolecompute compute1", "consolecompute compute2"):
            await cloud.kill(name, signal.SIGKILL)
            await self.flow()
            await cloud.back(name)
            await self.consoles_work()
            self.assertEqual(await cloud.kill(name, signal.SIGTERM), 0)
            await self.flow()
            await cloud.back(name)
        await self.consoles_work()
        await self.flow()
        self.assertNotIn("Traceback", cloud.heard())


class StoppingTests(CloudCase):
    """SIGTERM while one session is relayed and another is being set up."""

    async def test_sigterm(self) -> None:
        cloud = await self.start()
        # The proxy dials an address at which a silent server listens instead of the VM.
        silent = FakeVNCServer(stall="version")
        port = reactor.listenTCP(0, silent, interface=cloud.one.address)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        graphics = f"<graphics type='vnc' port='{port.getHost().port}' listen='127.0.11.2'/>"
        mute = await cloud.one.define("mute", graphics=graphics)
        for kind, name in (("novnc", "novncproxy"), ("xvpvnc", "xvpvncproxy")):
            live = await (await cloud.viewers.open(await cloud.console(self.red, kind))).ready()
            stream, raw = await cloud.viewers.waiting(await cloud.console(mute, kind))
            await silent.accepted.get()
            idle = await cloud.viewers.raw("127.0.0.1", cloud.ports["novnc" if kind == "novnc" else "xvp"])
            stopped = Deferred.fromCoroutine(cloud.processes.pop(name).stop())
            if kind == "novnc":
                self.assertEqual(await live.closed(), (1001, Stopping.sentence))
                self.assertEqual(await refused(stream), Stopping.sentence)
                self.assertEqual(await stream.until_closed(), (1001, Stopping.sentence))
            else:
                await live.closed()
                self.assertEqual(await raw.everything(), f"HTTP/1.1 503 {Stopping.sentence}\r\n\r\n".encode())
            await idle.everything()
            self.assertEqual(await stopped, 0)

    async def test_sigterm_while_others_hang(self) -> None:
        """Redis and a libvirtd do not answer: no service waits for them beyond its deadlines."""
        cloud = await self.start()
        live = [await cloud.viewers.open(await cloud.console(self.red, kind)) for kind in ("novnc", "xvpvnc")]
        cloud.redis.freeze()
        self.addCleanup(cloud.redis.thaw)
        cloud.one.libvirtd.freeze()
        self.addCleanup(cloud.one.libvirtd.thaw)
        # Each service is waiting for a reply that will not come.
        waiting = [cloud.ask_console(self.red), cloud.viewers.refusal(self.unknown())]
        under_way = Deferred.fromCoroutine(together(*waiting)).addErrback(lambda _: None)
        services = [cloud.processes.pop(name) for name in cloud.names]
        codes = await together(*(service.stop() for service in services))
        self.assertEqual(dict(zip(cloud.names, codes, strict=True)), dict.fromkeys(cloud.names, 0))
        self.assertEqual(await live[0].closed(), (1001, Stopping.sentence))
        await live[1].closed()
        await under_way
        for service in services:
            self.assertNotIn("Traceback", service.output)

    def unknown(self) -> str:
        """A link with an unknown token."""
        return f"http://127.0.0.1:{self.cloud.ports['novnc']}/vnc_auto.html?token={uuid4()}"
