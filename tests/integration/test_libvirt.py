"""consoleauth and compute with real libvirtds and QEMUs: their answers, and failures of libvirtd and QEMU."""

import contextlib
import socket
from typing import Any
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.compute import ComputeAPI, ComputeManager, libvirt_watch, screenshots
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.errors import (
    ConsoleForbidden,
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    Refusal,
    ServiceUnavailable,
)
from novnc_twisted.messaging.memory import MemoryTransport
from tests.support.handed_out import secret
from tests.support.libvirtd import (
    VNC_ON_UNIX_SOCKET,
    PrivateLibvirtd,
    WatchedDriver,
    in_thread,
    private_libvirtd,
    small_domain,
    vnc_with_password,
)
from tests.support.logged import Logged

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
VIEWER = "192.0.2.7"


class WatchedAuth(ConsoleAuthManager):
    """A ConsoleAuthManager that notifies the test when it has dropped tokens."""

    async def instance_gone(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop the tokens, then notify."""
        answer = await super().instance_gone(instance_uuid=instance_uuid)
        if answer["gone"]:
            self.dropped.callback(instance_uuid)
        return answer

    dropped: "Deferred[str]"


def greeting(host: str, port: int) -> bytes:
    """The first bytes of a VNC server."""
    with socket.create_connection((host, port), 10) as connection:
        return connection.recv(12)


class LibvirtCase(TestCase):
    """consoleauth, and compute hosts, each with its own libvirtd."""

    timeout = 300

    async def setUp(self) -> None:
        self.logged = Logged(self)
        self.transport = MemoryTransport(reactor)
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.auth = WatchedAuth(self.transport, reactor)
        self.auth.dropped = Deferred()
        await self.auth.start()
        self.addCleanup(self.auth.stop)
        self.consoleauth, self.compute = ConsoleAuthAPI(self.transport), ComputeAPI(self.transport)
        self.uuid = str(uuid4())

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
        """Assert that it is refused, and return the refusal."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)

    async def listed(self, *expected: Any, fields: tuple[str, ...] = ("uuid", "state", "host")) -> list[Any]:
        """Return the list once it shows this: hosts publish a change within a part of a second."""
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


class OneHostTests(LibvirtCase):
    """Each kind of display, and each kind of end."""

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

    async def test_tcp(self) -> None:
        await self.create()
        info = await self.check(await self.token())
        self.assertEqual((info.host, info.name, info.instance_uuid), ("127.0.0.1", "myserver20", self.uuid))
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")
        (instance,) = await self.listed((self.uuid, "running", "one"))
        self.assertEqual((instance.vcpus, instance.memory_mb), (1, 16))

    async def test_its_owner_changes_while_it_runs(self) -> None:
        """The owner is changed with ``virsh metadata --live``; names of all languages stay intact."""
        await in_thread(self.libvirtd.create, small_domain("検証\u3000サーバ", identity=self.uuid))
        tokens = []
        for number, project in enumerate(("red", "青\u00a0い", "red"), 1):
            owner = f"<instance><owner><project uuid='{project}'>{project}</project></owner></instance>"
            arguments = ("--uri", NOVA, "--key", "nova", "--set", owner, "--live")
            await in_thread(self.libvirtd.virsh, "metadata", self.uuid, *arguments)
            tokens.append((project, await self.token(owner=project)))
            for made_for, token in tokens:
                for _ in range(2):
                    if made_for == project:
                        self.assertEqual((await self.check(token)).name, "検証\u3000サーバ")
                    else:
                        await self.refused(ConsoleForbidden, self.check(token))
            await self.driver.seen(Change.DESCRIBED, self.uuid, times=number)
            await self.listed((project,), fields=("project_name",))

    async def test_unix_socket(self) -> None:
        await self.create(graphics=VNC_ON_UNIX_SOCKET)
        info = await self.check(await self.token())
        self.assertTrue(info.socket.endswith("vnc.sock"), info)
        self.assertEqual((info.port, info.compute_host), (0, "one"))

    async def test_password(self) -> None:
        await self.create(graphics=vnc_with_password("s3cr3t!"))
        token = await self.token()
        answers = [
            await self.check(token),
            await self.compute.list_instances(),
            await self.transport.call("compute.one", "get_instance", instance_uuid=self.uuid),
            await self.transport.call("compute.one", "get_instances_at_address", host="127.0.0.1", port=5900),
        ]
        self.assertNotIn("s3cr3t!", repr(answers))
        self.assertEqual(await self.consoleauth.get_vnc_password(token, "novnc", VIEWER), "s3cr3t!")
        self.assertEqual([line for line in self.logged.lines() if "s3cr3t!" in line or token in line], [])

    async def test_no_password(self) -> None:
        await self.create()
        self.assertIsNone(await self.consoleauth.get_vnc_password(await self.token(), "novnc", VIEWER))

    async def test_no_display(self) -> None:
        await self.create(graphics="")
        await self.refused(ConsoleTypeUnavailable, self.token())

    async def test_it_listens_nowhere(self) -> None:
        await self.create(graphics="<graphics type='vnc'><listen type='none'/></graphics>")
        await self.refused(ConsoleTypeUnavailable, self.token())

    async def test_it_listens_everywhere(self) -> None:
        await self.create(graphics="<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>")
        await self.driver.seen(Change.STARTED, self.uuid)
        await self.check(await self.token())
        await self.check(await self.token())
        (line,) = self.logged.lines("wider than server_listen")
        self.assertIn("<listen type='address' address='127.0.0.1'/>", line)

    async def test_power(self) -> None:
        """Each action on a real VM; its guest ignores ACPI, so that it is switched off after shutdown_timeout."""
        await self.define_and_start()
        for action, state in (
            ("pause", "paused"),
            ("unpause", "running"),
            ("reboot", "running"),
            ("reset", "running"),
            ("suspend", "saved"),
            ("resume", "running"),
            ("stop", "shutoff"),
            ("start", "running"),
        ):
            while (reply := await self.compute.change_power(await self.compute.find(self.uuid), action)).conflict:
                self.assertEqual(reply.conflict, "task", action)  # the action before has just done its work
                await deferLater(reactor, 0.05, lambda: None)
            await self.listed((self.uuid, state, "one"))
        self.assertEqual(len(self.logged.lines("did not shut down within 1 s")), 1)
        info = await self.check(await self.token())
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")

    async def test_screenshot(self) -> None:
        """A picture of the real screen; sixteen viewers, more than QEMU has VNC slots for, share one."""
        self.patch(screenshots, "MAX_AGE", 600.0)
        await self.create()
        instance = await self.compute.find(self.uuid)
        shots = await gatherResults(
            [Deferred.fromCoroutine(self.compute.get_screenshot(instance, "jpeg", 320)) for _ in range(16)]
        )
        # The first to ask begins one, all others share the next.
        self.assertEqual(shots[0].width, 320)
        self.assertLessEqual(len({shot.data for shot in shots}), 2)
        self.assertLessEqual(len(shots[0].content), 15_000)
        self.patch(screenshots, "MAX_AGE", 0.0)
        while True:
            whole = await self.compute.get_screenshot(instance, "png", None)
            self.assertEqual(whole.content[:8], b"\x89PNG\r\n\x1a\n")
            if (whole.width, whole.height) == (720, 400):  # VGA's text mode, which the guest sets after its start
                break
            await deferLater(reactor, 0.05, lambda: None)

    async def test_a_transient_vm_is_not_stopped(self) -> None:
        await self.create()
        for action in ("stop", "suspend"):
            reply = await self.compute.change_power(await self.compute.find(self.uuid), action)
            self.assertEqual(reply.conflict, "transient")
        await self.listed((self.uuid, "running", "one"))

    async def test_missing(self) -> None:
        await self.refused(InstanceNotFound, self.token())

    async def test_stopped_and_started_again(self) -> None:
        await self.define_and_start()
        token = await self.token()
        await in_thread(self.libvirtd.destroy, "myserver20")
        await self.driver.seen(Change.STOPPED, self.uuid)
        await self.refused(InstanceNotRunning, self.check(token))
        await self.refused(InstanceNotRunning, self.token())
        # Another VM may use its port meanwhile: the token names the VM.
        await in_thread(self.libvirtd.create, small_domain("other"))
        await in_thread(self.libvirtd.start_vm, "myserver20")
        info = await self.check(token)
        self.assertEqual((info.name, info.port), ("myserver20", (await self.port_of("myserver20"))))
        self.assertNotEqual(info.port, await self.port_of("other"))

    async def port_of(self, name: str) -> int:
        names = await in_thread(self.libvirtd.virsh, "domuuid", name)
        uuid = names.strip()
        return int((await self.driver.get_domain(uuid)).vnc.port)

    async def test_undefined(self) -> None:
        await self.define_and_start()
        token = await self.token()
        await in_thread(self.libvirtd.undefine, "myserver20")  # while it runs, which makes it transient
        await self.driver.seen(Change.UNDEFINED, self.uuid)
        await self.check(token)
        await in_thread(self.libvirtd.destroy, "myserver20")
        self.assertEqual(await self.auth.dropped, self.uuid)
        await self.refused(InvalidToken, self.check(token))

    async def test_a_token_of_a_vm_that_is_gone_never_shows_another(self) -> None:
        """CVE-2013-0335."""
        await self.create()
        token = await self.token()
        port = (await self.check(token)).port
        await in_thread(self.libvirtd.destroy, "myserver20")
        await in_thread(self.libvirtd.create, small_domain("other"))
        self.assertEqual(await self.port_of("other"), port)
        self.assertEqual(await self.auth.dropped, self.uuid)
        await self.refused(InvalidToken, self.check(token))

    async def test_consoleauth_is_away_while_it_goes(self) -> None:
        await self.create()
        token = await self.token()
        await self.auth.stop()
        await in_thread(self.libvirtd.destroy, "myserver20")
        await self.driver.seen(Change.STOPPED, self.uuid)
        await self.auth.start()
        await self.auth.dropped
        await self.refused(InvalidToken, self.check(token))

    async def test_libvirtd_killed_and_restarted(self) -> None:
        await self.create()
        token = await self.token()
        await in_thread(self.libvirtd.kill)
        refusal = await self.refused(ServiceUnavailable, self.check(token))
        self.assertNotIn("Traceback", str(refusal))
        await in_thread(self.libvirtd.start)
        await self.driver.seen(Change.CONNECTED, times=2)
        self.assertEqual((await self.check(token)).name, "myserver20")
        # This waits until libvirtd has its QEMU again: a domain that is destroyed before is gone without an event.
        await in_thread(self.libvirtd.virsh, "qemu-monitor-command", "--hmp", "myserver20", "info status")
        await in_thread(self.libvirtd.destroy, "myserver20")
        self.assertEqual(await self.auth.dropped, self.uuid)  # events are received again

    async def test_it_goes_while_libvirtd_is_away(self) -> None:
        await self.create()
        token = await self.token()
        await in_thread(self.libvirtd.kill)
        await in_thread(self.libvirtd.kill_vm, "myserver20")
        await in_thread(self.libvirtd.start)
        self.assertEqual(await self.auth.dropped, self.uuid)
        await self.refused(InvalidToken, self.check(token))

    async def test_libvirtd_hangs(self) -> None:
        await self.create()
        token = await self.token()
        self.libvirtd.freeze()
        # Without a deadline these would never end.
        await self.refused(ServiceUnavailable, self.check(token))
        await self.list_refused()
        self.libvirtd.thaw()
        # Hanging calls finish soon after, without any restart.
        self.assertEqual((await self.check_until_it_answers(token)).name, "myserver20")

    async def test_libvirtd_hangs_when_we_start(self) -> None:
        self.patch(libvirt_watch, "_SILENCE", 0.2)
        self.libvirtd.freeze()
        self.addCleanup(self.libvirtd.thaw)
        driver = await self.host(self.libvirtd, "two")
        await self.assertFailure(self.transport.call("compute.two", "list_instances"), ServiceUnavailable)
        self.libvirtd.thaw()
        await driver.seen(Change.CONNECTED)
        self.assertEqual(len(self.logged.lines("can't be reached (it does not answer)")), 1)

    async def test_libvirtd_hangs_and_is_killed(self) -> None:
        await self.create()
        token = await self.token()
        self.libvirtd.freeze()
        for _ in range(6):  # more than there are threads
            await self.refused(ServiceUnavailable, self.check(token))
        await in_thread(self.libvirtd.restart)
        await self.driver.seen(Change.CONNECTED, times=2)
        self.assertEqual((await self.check_until_it_answers(token)).name, "myserver20")

    async def check_until_it_answers(self, token: str) -> Any:
        """libvirt itself ends hanging calls later; there is no event to wait for."""
        while True:
            try:
                return await self.check(token)
            except ServiceUnavailable:
                await deferLater(reactor, 0.1, lambda: None)


class FullTests(LibvirtCase):
    """libvirtd has reached max_clients: it accepts further connections, but does not answer."""

    async def test_max_clients(self) -> None:
        libvirtd = await private_libvirtd(self, libvirtd_conf="max_clients = 1\nmax_anonymous_clients = 1\n")
        driver = await self.host(libvirtd, deadline=1.0)
        await driver.seen(Change.CONNECTED)
        for _ in range(3):
            await self.refused(ServiceUnavailable, self.compute.find(self.uuid))
        (line,) = self.logged.lines("can't be reached")
        for part in ("a call was not answered within 1 s", "max_clients"):
            self.assertIn(part, line)


class DownTests(LibvirtCase):
    """libvirtd is down when we start."""

    async def test_down_at_start(self) -> None:
        libvirtd = PrivateLibvirtd()
        self.addCleanup(deferToThread, libvirtd.close)
        driver = await self.host(libvirtd)
        await self.refused(ServiceUnavailable, self.compute.list_instances())
        await in_thread(libvirtd.start)
        await driver.seen(Change.CONNECTED)
        await self.listed()
        self.assertEqual(len(self.logged.lines("can't be reached")), 1)
        self.assertEqual(len(self.logged.lines("connected to libvirt")), 1)


class TwoHostsTests(LibvirtCase):
    """A VM that moves from one compute host to another."""

    async def setUp(self) -> None:
        await super().setUp()
        self.one, self.two = await private_libvirtd(self), await private_libvirtd(self)
        self.driver_one = await self.host(self.one, "one")
        self.driver_two = await self.host(self.two, "two")
        await self.driver_one.seen(Change.CONNECTED)
        await self.driver_two.seen(Change.CONNECTED)
        self.xml = small_domain("myserver20", identity=self.uuid)

    async def test_it_moved(self) -> None:
        await in_thread(self.one.define, self.xml)
        await in_thread(self.one.start_vm, "myserver20")
        token = await self.token()
        self.assertEqual((await self.check(token)).compute_host, "one")
        await in_thread(self.two.define, self.xml)  # another host knows it before it ends here
        await in_thread(self.one.destroy, "myserver20")
        await in_thread(self.one.undefine, "myserver20")
        await self.refused(InstanceNotRunning, self.check(token))
        await in_thread(self.two.start_vm, "myserver20")
        info = await self.check(token)
        self.assertEqual((info.compute_host, info.name), ("two", "myserver20"))
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")
        self.assertFalse(self.auth.dropped.called)

    async def test_it_left_its_definition(self) -> None:
        await in_thread(self.one.define, self.xml)
        await in_thread(self.one.start_vm, "myserver20")
        token = await self.token()
        await in_thread(self.one.destroy, "myserver20")
        await in_thread(self.two.create, self.xml)
        self.assertEqual((await self.check(token)).compute_host, "two")
        await self.listed((self.uuid, "running", "two"))

    async def test_live_migration(self) -> None:
        await in_thread(self.one.create, self.xml)
        token = await self.token()
        await in_thread(
            self.one.virsh, "migrate", "--live", "--p2p", "myserver20", self.two.uri, f"unix://{self.one.root}/s/m"
        )
        await self.driver_one.seen(Change.MIGRATED, self.uuid)
        info = await self.check(token)
        self.assertEqual((info.compute_host, info.name), ("two", "myserver20"))
        self.assertFalse(self.auth.dropped.called)
        await in_thread(self.two.destroy, "myserver20")
        self.assertEqual(await self.auth.dropped, self.uuid)

    async def test_one_host_hangs(self) -> None:
        await in_thread(self.two.create, self.xml)
        token = await self.token()
        self.one.freeze()
        self.addCleanup(self.one.thaw)
        self.assertEqual((await self.check(token)).compute_host, "two")
        await self.listed(("two",), fields=("host",))
        self.assertEqual((await self.compute.find(self.uuid)).host, "two")
