"""LibvirtDriver with libvirt's test driver, which runs in this process and needs no hypervisor."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import libvirt
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from demo.domains import VNC_ON_LOOPBACK, small_domain
from novnc_twisted.compute import LibvirtDriver
from novnc_twisted.compute.domain_xml import Vnc
from novnc_twisted.compute.interfaces import Change, IDriver, Operation
from novnc_twisted.compute.libvirt import driver as libvirt_driver
from novnc_twisted.compute.libvirt import pool as libvirt_pool
from novnc_twisted.compute.libvirt import watch as libvirt_watch
from novnc_twisted.compute.libvirt.errors import refusal_of
from novnc_twisted.compute.libvirt.loop import ensure_event_loop
from novnc_twisted.compute.libvirt.watch import change_of
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from tests.compute.libvirt_handles import Error
from tests.support.libvirtd import WatchedDriver

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
FIXED = "<graphics type='vnc' port='5917' listen='127.0.0.1' passwd='pass'/>"


class DefaultTests(TestCase):
    """``test:///default``, which all connections of a process share while one is open."""

    async def setUp(self) -> None:
        ensure_event_loop()
        self.connection = await deferToThread(libvirt.open, "test:///default")
        self.addCleanup(deferToThread, self.connection.close)
        self.driver = WatchedDriver("test:///default")
        await self.driver.start(lambda event: None)
        self.addCleanup(self.driver.stop)
        await self.driver.seen(Change.CONNECTED)
        self.uuid = str(uuid4())

    async def create(self, graphics: str = FIXED, name: str = "") -> None:
        xml = small_domain(name or f"vm-{self.uuid[:8]}", identity=self.uuid, graphics=graphics, domain_type="test")
        handle = await deferToThread(self.connection.createXML, xml.replace("<video><model type='vga'/></video>", ""))
        self.addCleanup(self.destroy, handle)

    async def destroy(self, handle: "libvirt.virDomain") -> None:
        try:
            await deferToThread(handle.destroy)
        except libvirt.libvirtError as error:
            self.assertEqual(error.get_error_code(), libvirt.VIR_ERR_NO_DOMAIN)

    async def test_large_domains_are_saved(self) -> None:
        """A reboot and a restore do not wait for domains that are being saved."""
        await self.create()
        saved, done = threading.Event(), list[Operation]()

        def operate(_domain: object, operations: Sequence[Operation]) -> None:
            if Operation.SAVE in operations:
                saved.wait()
            done.extend(operations)

        self.patch(libvirt_driver, "operate", operate)
        self.addCleanup(saved.set)
        saving = [self.driver.operate(self.uuid, [Operation.SAVE]) for _ in range(4)]
        for operation in (Operation.REBOOT, Operation.RESTORE):
            await self.driver.operate(self.uuid, [operation])
        self.assertEqual(done, [Operation.REBOOT, Operation.RESTORE])
        saved.set()
        await gatherResults(saving)

    async def test_keys_and_power_actions_are_not_repeated(self) -> None:
        """Their request may have reached libvirtd before the connection ended."""
        await self.create()
        done, dead = list[str](), list[object]()

        def work(domain: "libvirt.virDomain", *_: object) -> None:
            done.append(domain.UUIDString())
            if len(done) % 2 == 0:
                dead.append(domain.connect())
                raise Error(libvirt.VIR_ERR_INTERNAL_ERROR)

        for name in ("operate", "send_keys"):
            self.patch(libvirt_driver, name, work)
        self.patch(libvirt_pool, "unusable", lambda connection: connection in dead)
        for call in (
            lambda: self.driver.operate(self.uuid, [Operation.REBOOT]),
            lambda: self.driver.send_keys(self.uuid, [28], 30),
        ):
            done.clear()
            await call()
            await self.assertFailure(call(), ServiceUnavailable)
            self.assertEqual(done, [self.uuid, self.uuid])

    async def test_an_outage_ends(self) -> None:
        """CONNECTED is reported only once, because all domains are compared at each report."""
        original, attempts = libvirt_watch.open_connection, list[str]()

        def open_connection(uri: str) -> "libvirt.virConnect":
            attempts.append(uri)
            if len(attempts) == 1:
                raise Error(libvirt.VIR_ERR_NO_CONNECT)
            return original(uri)

        self.patch(libvirt_watch, "open_connection", open_connection)
        driver = WatchedDriver("test:///default")
        await driver.start(lambda event: None)
        self.addCleanup(driver.stop)
        await driver.seen(Change.CONNECTED)
        await deferLater(reactor, 0)  # a second report would come in the same iteration
        self.assertEqual([event.change for event in driver.events], [Change.DISCONNECTED, Change.CONNECTED])

    async def test_get_domain(self) -> None:
        await self.create()
        domain = await self.driver.get_domain(self.uuid)
        self.assertEqual(
            (domain.uuid, domain.active, domain.state, domain.power_state), (self.uuid, True, "running", 1)
        )
        self.assertEqual(domain.vnc, Vnc(port=5917, listens=("127.0.0.1",)))
        self.assertEqual((domain.vcpus, domain.memory_mb), (1, 16))

    async def test_unknown(self) -> None:
        for call in (self.driver.get_domain, self.driver.get_vnc_password, self.driver.is_persistent):
            await self.assertFailure(call(self.uuid), InstanceNotFound)

    async def test_list(self) -> None:
        await self.create()
        names = {domain.name for domain in await self.driver.list_domains()}
        self.assertEqual(names, {"test", f"vm-{self.uuid[:8]}"})

    async def test_password(self) -> None:
        await self.create()
        self.assertEqual(await self.driver.get_vnc_password(self.uuid), "pass")
        self.assertNotIn("pass", repr(await self.driver.get_domain(self.uuid)).replace(self.uuid, ""))

    async def test_port_that_is_not_allocated(self) -> None:
        await self.create(VNC_ON_LOOPBACK)
        self.assertIsNone((await self.driver.get_domain(self.uuid)).vnc.port)

    async def test_active_consoles(self) -> None:
        await self.create()
        for _ in range(2):
            (console,) = await self.driver.active_consoles()
            self.assertEqual((console.uuid, console.vnc.port), (self.uuid, 5917))
        await deferToThread(self.connection.lookupByUUIDString(self.uuid).destroy)
        await self.create(FIXED.replace("5917", "5918"))  # the same one, started anew
        self.assertEqual([console.vnc.port for console in await self.driver.active_consoles()], [5918])
        await deferToThread(self.connection.lookupByUUIDString(self.uuid).destroy)
        self.assertEqual(await self.driver.active_consoles(), [])

    async def test_address_conflicts(self) -> None:
        """The XML of the domain is read each time, that of other domains once for each start."""
        await self.create()
        conflicting = self.uuid = str(uuid4())
        await self.create(FIXED.replace("5917", "5918"))
        self.uuid = str(uuid4())
        await self.create(FIXED.replace("5917", "5918"))
        driver = WatchedDriver("test:///default", workers=1)
        await driver.start(lambda event: None)
        self.addCleanup(driver.stop)
        await driver.seen(Change.CONNECTED)
        read: list[str] = []
        original = libvirt.virDomain.XMLDesc
        self.patch(
            libvirt.virDomain,
            "XMLDesc",
            lambda handle, *asked: read.append(handle.UUIDString()) or original(handle, *asked),
        )
        for state in ("running", *["paused"] * 5):
            domain, others = await driver.domain_with_conflicts(self.uuid)
            self.assertEqual(
                (domain.uuid, domain.vnc.port, domain.active, domain.state), (self.uuid, 5918, True, state)
            )
            self.assertEqual([(other.uuid, other.vnc.port) for other in others], [(conflicting, 5918)])
            if state == "running":
                self.assertEqual(await driver.get_domain(self.uuid), domain)
                await deferToThread(self.connection.lookupByUUIDString(self.uuid).suspend)
        # A second time if libvirt delivers an event of the domains' start during the first read.
        self.assertLessEqual(read.count(conflicting), 2)
        self.assertGreaterEqual(read.count(self.uuid), 3)
        await deferToThread(self.connection.lookupByUUIDString(self.uuid).destroy)
        await self.create(FIXED.replace("5917", "5919"))  # the same one, started anew
        domain, _ = await driver.domain_with_conflicts(self.uuid)
        self.assertEqual(domain.vnc.port, 5919)
        await self.assertFailure(driver.domain_with_conflicts(str(uuid4())), InstanceNotFound)

    async def test_the_owner_of_a_running_domain_changes(self) -> None:
        """A look-up reads the XML each time; a list shows the change after libvirt's event."""
        await self.create()
        handle = await deferToThread(self.connection.lookupByUUIDString, self.uuid)
        for number, project in enumerate(("red", "blue", "red"), 1):
            metadata = f"<instance><owner><project uuid='{project}'>{project}</project></owner></instance>"
            await deferToThread(handle.setMetadata, libvirt.VIR_DOMAIN_METADATA_ELEMENT, metadata, "nova", NOVA, 1)
            for _ in range(3):
                domain, _others = await self.driver.domain_with_conflicts(self.uuid)
                self.assertEqual((domain.project_id, domain.project_name), (project, project))
                self.assertEqual((await self.driver.get_domain(self.uuid)).project_id, project)
            await self.driver.seen(Change.DESCRIBED, self.uuid, times=number)
            (listed,) = [one for one in await self.driver.list_domains() if one.uuid == self.uuid]
            self.assertEqual(listed.project_id, project)

    async def test_names_of_any_language(self) -> None:
        for name in ("検証\u3000サーバ", "a\u00a0b", "\u0645\u06cc\u200c\u062e", "tab\tname"):
            self.uuid = str(uuid4())
            await self.create(name=name)
            self.assertEqual((await self.driver.get_domain(self.uuid)).name, name.replace("\t", "\ufffd"))

    async def test_a_broken_domain_hides_no_other(self) -> None:
        await self.create()
        broken, self.uuid = self.uuid, str(uuid4())
        await self.create(FIXED.replace("5917", "5918"))
        original = libvirt.virDomain.XMLDesc

        def break_one(handle: "libvirt.virDomain", flags: int = 0) -> str:
            if handle.UUIDString() == broken:
                raise Error(libvirt.VIR_ERR_INTERNAL_ERROR)
            return str(original(handle, flags))

        self.patch(libvirt.virDomain, "XMLDesc", break_one)
        driver = WatchedDriver("test:///default")
        await driver.start(lambda event: None)
        self.addCleanup(driver.stop)
        domain, others = await driver.domain_with_conflicts(self.uuid)
        self.assertEqual((domain.uuid, others), (self.uuid, []))
        self.assertEqual([one.uuid for one in await driver.active_consoles()], [self.uuid])
        self.assertEqual({one.uuid for one in await driver.list_domains()} & {broken, self.uuid}, {broken, self.uuid})

    async def test_address_conflicts_of_a_stopped_domain(self) -> None:
        xml = small_domain("stopped", identity=self.uuid, graphics=FIXED, domain_type="test")
        handle = await deferToThread(self.connection.defineXML, xml.replace("<video><model type='vga'/></video>", ""))
        self.addCleanup(deferToThread, handle.undefine)
        domain, others = await self.driver.domain_with_conflicts(self.uuid)
        self.assertEqual((domain.uuid, domain.active, domain.state, others), (self.uuid, False, "shutoff", []))

    async def test_a_new_connection_clears_the_cache(self) -> None:
        """Another libvirtd may use the same ids for other domains."""
        await self.create()
        await self.driver.seen(Change.STARTED, self.uuid)
        await self.driver.domain_with_conflicts(self.uuid)
        number = (await deferToThread(self.connection.lookupByUUIDString, self.uuid)).ID()
        known = self.driver._known.domains
        known[number] = replace(known[number], name="stale")
        self.patch(libvirt_pool, "unusable", lambda connection: True)
        domain, _ = await self.driver.domain_with_conflicts(self.uuid)
        self.assertEqual(domain.name, f"vm-{self.uuid[:8]}")

    async def test_events(self) -> None:
        await self.create()
        await self.driver.seen(Change.STARTED, self.uuid)
        await deferToThread(self.connection.lookupByUUIDString(self.uuid).destroy)
        await self.driver.seen(Change.STOPPED, self.uuid)

    async def test_no_secret_is_asked_for(self) -> None:
        """Nothing but get_vnc_password uses VIR_DOMAIN_XML_SECURE (CVE-2014-7823)."""
        flags: list[int] = []
        original = libvirt.virDomain.XMLDesc

        def watched(handle: "libvirt.virDomain", asked: int = 0) -> str:
            flags.append(asked)
            return str(original(handle, asked))

        self.patch(libvirt.virDomain, "XMLDesc", watched)
        await self.create()
        await self.driver.list_domains()
        await self.driver.get_domain(self.uuid)
        await self.driver.active_consoles()
        self.assertEqual(set(flags), {0})
        await self.driver.get_vnc_password(self.uuid)
        self.assertEqual(flags[-1], libvirt.VIR_DOMAIN_XML_SECURE)


class FileTests(TestCase):
    """``test:///FILE`` with fixed ports, as documented for machines without a hypervisor."""

    async def driver(self, content: str) -> LibvirtDriver:
        path = Path(self.mktemp()).absolute()
        path.write_text(content)
        driver = LibvirtDriver(reactor, f"test://{path}", workers=2)
        await driver.start(lambda event: None)
        self.addCleanup(driver.stop)
        return driver

    async def test_fixed_port(self) -> None:
        uuid = str(uuid4())
        driver = await self.driver(
            f"<node><domain type='test'><name>myserver20</name><uuid>{uuid}</uuid><memory>16384</memory>"
            f"<os><type>hvm</type></os><devices>{FIXED}</devices></domain></node>"
        )
        (domain,) = await driver.list_domains()
        self.assertEqual((domain.name, domain.active, domain.vnc.port), ("myserver20", True, 5917))
        self.assertEqual(await driver.get_vnc_password(uuid), "pass")

    async def test_an_invalid_file(self) -> None:
        driver = await self.driver("<node><domain/></node>")
        refusal = await self.assertFailure(driver.list_domains(), ServiceUnavailable)
        self.assertIn("libvirt at test://", refusal.detail)


class LifeTests(TestCase):
    """Before the start, after the stop, and while libvirt is down."""

    def test_interface(self) -> None:
        verifyObject(IDriver, LibvirtDriver(reactor))

    async def test_not_started(self) -> None:
        await self.assertFailure(LibvirtDriver(reactor).list_domains(), ServiceUnavailable)
        await LibvirtDriver(reactor).stop()

    async def test_stopped_and_started_again(self) -> None:
        driver = LibvirtDriver(reactor, "test:///default")
        for _ in range(2):
            await driver.start(lambda event: None)
            await driver.list_domains()
            await driver.stop()
            await self.assertFailure(driver.list_domains(), ServiceUnavailable)

    async def test_down(self) -> None:
        driver = LibvirtDriver(reactor, "qemu+unix:///session?socket=/nonexistent/libvirt-sock")
        await driver.start(lambda event: None)
        self.addCleanup(driver.stop)
        refusal = await self.assertFailure(driver.list_domains(), ServiceUnavailable)
        self.assertIn("/nonexistent/libvirt-sock", refusal.detail)


class MappingTests(TestCase):
    """The conversion of libvirt's events and errors."""

    def test_events(self) -> None:
        for event, detail, expected in [
            (libvirt.VIR_DOMAIN_EVENT_DEFINED, 0, Change.DEFINED),
            (libvirt.VIR_DOMAIN_EVENT_UNDEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED, Change.UNDEFINED),
            (libvirt.VIR_DOMAIN_EVENT_UNDEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED, None),
            (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED, Change.STARTED),
            (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED, Change.STOPPED),
            (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED, Change.MIGRATED),
            (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, 0, Change.STATE),
            (99, 99, None),
        ]:
            self.assertIs(change_of(event, detail), expected)

    def test_errors(self) -> None:
        other = KeyError("x")
        self.assertIs(refusal_of(other, "uri"), other)
        self.assertIsInstance(refusal_of(libvirt.libvirtError("without a code"), "uri"), ServiceUnavailable)
