"""Failures of libvirtd, and of consoleauth, with a real libvirtd and QEMUs."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.libvirt import watch as libvirt_watch
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from tests.integration.libvirt_case import LibvirtCase, OneHostCase
from tests.support.libvirtd import PrivateLibvirtd, in_thread, private_libvirtd


class OutageTests(OneHostCase):
    """libvirtd or consoleauth fails while a VM runs."""

    async def test_consoleauth_is_away_while_it_goes(self) -> None:
        await self.create()
        token = await self.token()
        await self.auth.stop()
        await in_thread(self.libvirtd.destroy, "myserver20")
        await self.driver.seen(Change.STOPPED, self.uuid)
        await self.auth.start()
        await self.dropped
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
        # This waits until libvirtd has found its QEMU: if a domain is destroyed earlier, there is no event.
        await in_thread(self.libvirtd.virsh, "qemu-monitor-command", "--hmp", "myserver20", "info status")
        await in_thread(self.libvirtd.destroy, "myserver20")
        self.assertEqual(await self.dropped, self.uuid)  # events are received again

    async def test_it_goes_while_libvirtd_is_away(self) -> None:
        await self.create()
        token = await self.token()
        await in_thread(self.libvirtd.kill)
        await in_thread(self.libvirtd.kill_vm, "myserver20")
        await in_thread(self.libvirtd.start)
        self.assertEqual(await self.dropped, self.uuid)
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
        for _ in range(6):  # more than the driver's threads
            await self.refused(ServiceUnavailable, self.check(token))
        await in_thread(self.libvirtd.restart)
        await self.driver.seen(Change.CONNECTED, times=2)
        self.assertEqual((await self.check_until_it_answers(token)).name, "myserver20")

    async def check_until_it_answers(self, token: str) -> Any:
        """Retry: libvirt itself ends hanging calls later, and there is no event to wait for."""
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
