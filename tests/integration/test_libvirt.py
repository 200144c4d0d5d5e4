"""consoleauth and compute with a real libvirtd and QEMUs: their answers for each kind of VM."""

from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from demo.guest import boot_sector
from novnc_twisted.compute import screenshots
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.keyboard_api import KeyboardAPI
from novnc_twisted.errors import (
    ConsoleForbidden,
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
)
from novnc_twisted.keyboard.keys import chord_of
from novnc_twisted.keyboard.layouts import spell
from tests.integration.libvirt_case import VIEWER, OneHostCase, greeting
from tests.support.libvirtd import VNC_ON_UNIX_SOCKET, in_thread, small_domain, vnc_with_password

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"


def screen_text(domain: Any) -> str:
    """The text of a guest in VGA's text mode."""
    words = libvirt_qemu.qemuMonitorCommand(
        domain, "xp /4000xb 0xb8000", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
    )
    codes = [int(code, 16) for line in words.splitlines() for code in line.partition(":")[2].split()]
    return bytes(codes[::2]).decode("latin-1")


class OneHostTests(OneHostCase):
    """Each kind of display, and each way in which a VM ends."""

    async def test_tcp(self) -> None:
        await self.create()
        info = await self.check(await self.token())
        self.assertEqual((info.host, info.name, info.instance_uuid), ("127.0.0.1", "myserver20", self.uuid))
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")
        (instance,) = await self.listed((self.uuid, "running", "one"))
        self.assertEqual((instance.vcpus, instance.memory_mb), (1, 16))

    async def test_its_owner_changes_while_it_runs(self) -> None:
        """The owner is changed with ``virsh metadata --live``; names in other scripts stay intact."""
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
        (line,) = self.logged.lines("which server_listen 127.0.0.1 does not permit")
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
            await self.act(action, state)
        self.assertEqual(len(self.logged.lines("did not shut down within 1 s")), 1)
        info = await self.check(await self.token())
        self.assertEqual(await in_thread(greeting, info.host, info.port), b"RFB 003.008\n")

    async def test_a_hard_reboot_discards_saved_memory(self) -> None:
        await self.define_and_start()
        for action, state, reason in (
            ("suspend", "saved", "shut off (saved)"),
            ("resume", "running", "running (restored)"),
            ("suspend", "saved", "shut off (saved)"),
            ("reset", "running", "running (booted)"),
        ):
            await self.act(action, state)
            self.assertEqual((await in_thread(self.libvirtd.virsh, "domstate", self.uuid, "--reason")).strip(), reason)

    async def act(self, action: Any, state: str) -> None:
        """Begin a power action, and wait until the VM has this state."""
        while (reply := await self.compute.change_power(await self.compute.find(self.uuid), action)).conflict:
            self.assertEqual(reply.conflict, "task", action)  # the previous action is about to finish
            await deferLater(reactor, 0.05, lambda: None)
        await self.listed((self.uuid, state, "one"))

    async def test_screenshot(self) -> None:
        """A picture of the real screen; sixteen viewers, more than QEMU has VNC slots for, share one."""
        self.patch(screenshots, "MAX_AGE", 600.0)
        await self.create()
        instance = await self.compute.find(self.uuid)
        shots = await gatherResults(
            [Deferred.fromCoroutine(self.compute.get_screenshot(instance, "jpeg", 320)) for _ in range(16)]
        )
        # The first request gets a picture of its own, all others share the next.
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

    async def test_keys_reach_the_guest(self) -> None:
        """The guest, a boot sector, echoes what it reads from the BIOS; its text is read from the video memory."""
        image = self.mktemp()
        Path(image).write_bytes(boot_sector("myserver20"))
        Path(image).chmod(0o644)
        for folder in Path(image).absolute().parents[:2]:
            folder.chmod(0o755)
        await self.create(boot_image=Path(image).absolute())
        connection = await deferToThread(libvirt.open, self.libvirtd.uri)
        self.addCleanup(deferToThread, connection.close)
        handle = await deferToThread(connection.lookupByUUIDString, self.uuid)

        async def until(wanted: str) -> None:
            while wanted not in (shown := await deferToThread(screen_text, handle)):
                self.assertNotIn("No bootable", shown)
                await deferLater(reactor, 0.05, lambda: None)

        await until("Type here:")
        keyboard, instance = KeyboardAPI(self.transport), await self.compute.find(self.uuid)
        text = "Hello, World! {[()]} ~^`@ 'x\\y|z\" #$%&*-_=+;:<>/?\nnext"
        chords = [chord for one in spell(text, "us") for chord in one]
        self.assertTrue(await keyboard.press(instance, chords, 12))
        first, second = text.split("\n")
        await until("> " + first)
        await until("> " + second)
        # Ctrl+Alt+Del: the BIOS starts the guest again, and what was typed is gone.
        self.assertTrue(await keyboard.press(instance, [chord_of(["ctrl", "alt", "delete"])], 50))
        while first in await deferToThread(screen_text, handle):
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

    async def test_undefined(self) -> None:
        await self.define_and_start()
        token = await self.token()
        await in_thread(self.libvirtd.undefine, "myserver20")  # while it runs, which makes it transient
        await self.driver.seen(Change.UNDEFINED, self.uuid)
        await self.check(token)
        await in_thread(self.libvirtd.destroy, "myserver20")
        self.assertEqual(await self.dropped, self.uuid)
        await self.refused(InvalidToken, self.check(token))

    async def test_a_token_of_a_vm_that_is_gone_never_shows_another(self) -> None:
        """CVE-2013-0335."""
        await self.create()
        token = await self.token()
        port = (await self.check(token)).port
        await in_thread(self.libvirtd.destroy, "myserver20")
        await in_thread(self.libvirtd.create, small_domain("other"))
        self.assertEqual(await self.port_of("other"), port)
        self.assertEqual(await self.dropped, self.uuid)
        await self.refused(InvalidToken, self.check(token))
