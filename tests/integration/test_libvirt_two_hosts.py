"""A VM that moves from one compute host to another, with real libvirtds and QEMUs."""

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.errors import InstanceNotRunning
from tests.integration.libvirt_case import LibvirtCase, greeting
from tests.support.libvirtd import in_thread, private_libvirtd, small_domain


class TwoHostsTests(LibvirtCase):
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
        await in_thread(self.two.define, self.xml)  # defined there before it ends here
        await in_thread(self.one.destroy, "myserver20")
        await in_thread(self.one.undefine, "myserver20")
        await self.refused(InstanceNotRunning, self.check(token))
        await in_thread(self.two.start_vm, "myserver20")
        info = await self.check(token)
        self.assertEqual((info.compute_host, info.name), ("two", "myserver20"))
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")
        self.assertFalse(self.dropped.called)

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
        self.assertFalse(self.dropped.called)
        await in_thread(self.two.destroy, "myserver20")
        self.assertEqual(await self.dropped, self.uuid)

    async def test_one_host_hangs(self) -> None:
        await in_thread(self.two.create, self.xml)
        token = await self.token()
        self.one.freeze()
        self.addCleanup(self.one.thaw)
        self.assertEqual((await self.check(token)).compute_host, "two")
        await self.listed(("two",), fields=("host",))
        self.assertEqual((await self.compute.find(self.uuid)).host, "two")
