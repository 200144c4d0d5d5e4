"""The README's deployment on three hosts, exactly as written, and what the users of two projects see then.

The hosts are namespaces (:mod:`tests.support.hosts`) with the names and addresses of the README.  Root runs the
README's marked blocks there, and nothing else configures anything.  Three things are replaced:

* Blocks marked "package" do not run.  What they install is here already: this checkout, the Python that runs the test
  (with a link at ``/opt/novnc_twisted``), and the machine's redis-server.
* ``systemctl`` only records its arguments.  The test then starts those units with the command, the user and the groups
  of their files, without privileges.
* ``scp`` does so, too.  The test then copies those files to their hosts.

A compute host has what Debian's package of libvirt installs: a system libvirtd, its users, and its files.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from twisted.internet.defer import gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from demo.domains import small_domain
from demo.guest import boot_sector
from novnc_twisted.errors import InstanceNotRunning
from tests.support.browser import ConsolePage, chromium, with_page
from tests.support.cloud import together, token_in
from tests.support.cloud_clients import Ran
from tests.support.hosts import CHECKOUT, PATH, Host, Network, ViewersAt, missing
from tests.support.libvirtd import in_thread
from tests.support.units import Unit

OPT = "/opt/novnc_twisted"
OURS = {path.stem for path in (CHECKOUT / "contrib" / "systemd").glob("*.service")}
UNITS = ("/etc/systemd/system", "/lib/systemd/system")
PLAIN_VNC = "<graphics type='vnc' autoport='yes'/>"
LINKS = re.compile(r"http://controller:(?:6080/vnc_auto\.html|6081/console)\?token=[0-9a-f-]{36}")

SYSTEMCTL = '#!/bin/sh\necho "$@" >> /run/asked-of-systemctl\n'
SCP = '#!/bin/sh\necho "$@" >> /run/asked-of-scp\n'

LIBVIRTD = "[Service]\nExecStart=/usr/sbin/libvirtd\nLimitNOFILE=65536\n"
"""The command of Debian's unit; the machine has only libvirt's programs."""

LIBVIRTD_CONF = (
    'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n'
)
"""The settings of Debian's package."""

QEMU_CONF = 'stdio_handler = "file"\nsecurity_driver = "none"\n'
"""This machine has neither virtlogd nor AppArmor."""

_TEXT = 0xB8000


class Block(NamedTuple):
    """A shell block of the README: its hosts, its mark ("package", "systemd", "copy" or ""), and its text."""

    who: str
    kind: str
    text: str


class Readme:
    """The README's instructions.

    :ivar blocks: the marked blocks, in their order.
    :ivar owner: the command that sets the owner of a VM.
    :ivar user: the environment of a user.
    :ivar commands: the commands of that user.
    :ivar addresses: the addresses of the hosts.
    """

    def __init__(self) -> None:
        text = (CHECKOUT / "README.md").read_text()
        self.blocks = []
        for who, block in re.findall(r"<!-- step: ([^>]+) -->\n```sh\n(.*?)```", text, re.S):
            found = re.fullmatch(r"(.*?) ?(package|systemd|copy)?", who)
            assert found is not None
            self.blocks.append(Block(found[1], found[2] or "", block))
        self.owner = re.findall(r"```sh\n(virsh metadata .*?)```", text, re.S)[0]
        self.user, shown = re.findall(r"<!-- user -->\n```sh\n(.*?)```\s*```\n(.*?)```", text, re.S)[0]
        self.commands = re.findall(r"^\$ (.*)$", shown, re.M)
        self.addresses = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.M))

    def script(self, host: str) -> str:
        """The commands of root on a host, in their order, without those that install packages."""
        names = {host, "every host", "compute" if host.startswith("compute") else "api host"}
        return "\n".join(block.text for block in self.blocks if block.who in names and block.kind != "package")


class DeploymentTests(TestCase):
    """A controller and two compute hosts."""

    timeout = 900

    def setUp(self) -> None:
        self.readme = Readme()
        self.units: dict[str, Unit] = {}

    async def test_three_steps(self) -> None:
        needs = missing()
        for tool, package in (("redis-server", "redis-server"), ("libvirtd", "libvirt-daemon-driver-qemu")):
            if needs is None and shutil.which(tool, path=PATH) is None:
                needs = f"this test runs {tool}, which is not installed: apt-get install {package}"
        if needs is not None:
            self.fail(needs)
        if os.geteuid() == 0:
            await self.as_root()
        else:
            await self.by_sudo()

    async def by_sudo(self) -> None:
        """Run this test again as root, which leaves nothing in this user's folders."""
        trial = """
            folder=$(mktemp -d)
            "$1" -B -m twisted.trial "--temp-directory=$folder/trial" "$2" && code=0 || code=$?
            rm -r "$folder"
            exit $code
        """
        words = ["-n", "sh", "-c", trial, "sh", sys.executable, self.id()]
        output, errors, code = await getProcessOutputAndValue("sudo", words, env=os.environ, path=str(CHECKOUT))
        self.assertEqual(code, 0, (output + errors).decode())

    async def as_root(self) -> None:
        addresses = {name: f"{address}/24" for name, address in self.readme.addresses.items()}
        self.assertEqual(list(addresses), ["controller", "compute1", "compute2"])
        network = await Network.start(self, addresses)
        self.controller, self.one, self.two = network.hosts.values()
        self.viewers = ViewersAt(self, self.controller)

        await together(*(in_thread(self.prepare, host) for host in network.hosts.values()))
        await self.deploy(self.controller)
        for source, target in await in_thread(self.copied):
            host, _, path = target.removeprefix("root@").partition(":")
            await in_thread(
                network.hosts[host].write, path, await in_thread(self.controller.run, f"cat {source}"), 0o600
            )
        await together(self.deploy(self.one), self.deploy(self.two))
        red = await self.vm(self.one, "myserver20")
        blue, second = await self.vm(self.two, "myserver21"), await self.vm(self.two, "myserver22")
        await self.give(self.one, "myserver20", "alice", "red")
        await self.give(self.two, "myserver21", "bob", "blue")
        await self.give(self.two, "myserver22", "alice", "red")

        links = await self.users_see_their_own(red, blue, second)
        await together(*(self.shows(*link) for link in links[:3]))
        await together(*(self.shows(*link) for link in links[3:]))
        await self.in_a_browser(links[0][0])
        await self.no_way_to_another(links)
        await self.secrets_are_kept(links)
        await self.all_end()

    # --- the steps

    async def deploy(self, host: Host) -> None:
        """Run the README's commands, and start the units that it starts."""
        await in_thread(host.run, self.readme.script(host.name), folder=CHECKOUT)
        asked = (await in_thread(host.run, "cat /run/asked-of-systemctl")).splitlines()
        for words in (line.split() for line in asked):
            names = [word for word in words[1:] if not word.startswith("--")]
            for name in names:
                await self.start(host, name)
        await self.running(host)

    def copied(self) -> list[list[str]]:
        """The files that the README copies from the controller, each with its host and path."""
        return [line.split() for line in self.controller.run("cat /run/asked-of-scp").splitlines()]

    def prepare(self, host: Host) -> None:
        """Install what Debian's packages contain."""
        host.write("/usr/bin/systemctl", SYSTEMCTL, mode=0o755)
        host.write("/usr/bin/scp", SCP, mode=0o755)
        host.run(
            # The machine itself may have been set up by the README.
            *(f"userdel novnc-{name} 2>/dev/null || true" for name in OURS),
            "rm -rf /etc/nova /opt/novnc_twisted /etc/systemd/system/console*.service /etc/sysusers.d",
            "rm -rf /etc/redis/novnc_twisted.conf /etc/redis/users.acl /etc/redis-users /etc/default/novnc_twisted",
            f"mkdir -p /opt; ln -s {sys.prefix} {OPT}",
        )
        if host.name.startswith("compute"):
            host.run(
                "getent group libvirt >/dev/null || groupadd --system libvirt",
                "id libvirt-qemu >/dev/null 2>&1 ||"
                " useradd --system --home-dir /var/lib/libvirt --shell /usr/sbin/nologin --user-group libvirt-qemu",
                "mkdir -p /var/lib/libvirt/images",
            )
            host.write("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)
            host.write("/etc/libvirt/qemu.conf", QEMU_CONF)

    async def start(self, host: Host, name: str) -> None:
        """Start a unit as systemd does."""
        text = LIBVIRTD
        if name != "libvirtd":
            files = " ".join(f"{folder}/{name}.service" for folder in UNITS)
            text = await in_thread(host.run, f"for file in {files}; do [ ! -e $file ] || exec cat $file; done; exit 1")
        self.units[f"{host.name} {name}"] = await Unit.begin(self, host, name, text)

    async def running(self, host: Host) -> None:
        """Wait until a host's services run."""
        waited = []
        for unit in (self.units[name] for name in self.units if name.startswith(host.name)):
            if unit.command in OURS:
                waited.append(unit.ready())
            if unit.command == "consolecompute":
                waited.append(unit.seen("connected to libvirt"))
        await gatherResults(waited)

    # --- VMs

    async def vm(self, host: Host, name: str) -> str:
        """Start a VM with the README's display, and return its UUID."""
        image = f"/var/lib/libvirt/images/{name}.img"
        xml = small_domain(name, boot_image=image, graphics=PLAIN_VNC)
        await in_thread(host.write, image, boot_sector(name))
        await in_thread(host.write, f"/root/{name}.xml", xml)
        await in_thread(host.run, f"virsh -q define /root/{name}.xml", f"virsh -q start {name}")
        return (await in_thread(host.run, f"virsh domuuid {name}")).strip()

    async def give(self, host: Host, name: str, user: str, project: str) -> None:
        """Set the owner of a VM, with the README's command for alice's myserver20."""
        await in_thread(host.run, self.with_names(self.readme.owner, name, user, project))

    def with_names(self, text: str, name: str, user: str, project: str) -> str:
        """A command of the README, with other names than alice, red and myserver20."""
        for old, new in (("myserver20", name), ("alice", user), ("red", project)):
            text = re.sub(rf"\b{old}\b", new, text)
        return text

    async def port(self, host: Host, name: str) -> int:
        """The port of its VNC server."""
        return 5900 + int((await in_thread(host.run, f"virsh vncdisplay {name}")).strip().rpartition(":")[2])

    async def memory(self, host: Host, name: str, row: int = 6) -> str:
        """A row of a VM's screen, read from its memory."""
        command = f"virsh qemu-monitor-command --hmp {name} 'xp /160xb {_TEXT + 160 * row:#x}'"
        dump = await in_thread(host.run, command)
        data = bytes(int(word, 16) for line in dump.splitlines() for word in line.partition(":")[2].split())
        return data[::2].decode("cp437").rstrip()

    # --- what users see

    async def client(self, user: str, project: str, command: str, name: str = "myserver20") -> Ran:
        """Run the README's command as a user without rights on the controller; return its output."""
        lines = [self.with_names(self.readme.user, name, user, project), self.with_names(command, name, user, project)]
        done = await in_thread(self.controller.attempt, *lines, path=f"{OPT}/bin:{PATH}", user="nobody")
        return Ran(done.stdout, done.stderr, done.returncode)

    async def users_see_their_own(self, red: str, blue: str, second: str) -> list[tuple[str, Host, str]]:
        """Assert that users see only their project's VMs; return the links, each with the VM's host and name."""
        listing, novnc, xvpvnc = self.readme.commands
        alice, bob = ("alice", "red"), ("bob", "blue")
        reds, blues, everything = await together(
            self.client(*alice, listing), self.client(*bob, listing), self.client("admin", "anything", listing)
        )
        self.assertEqual(sorted(row[0] for row in everything.rows()[1:]), sorted([red, blue, second]))
        self.assertEqual(
            sorted(row[:3] for row in reds.rows()[1:]),
            sorted([[red, "myserver20", "ACTIVE"], [second, "myserver22", "ACTIVE"]]),
        )
        self.assertEqual([row[:3] for row in blues.rows()[1:]], [[blue, "myserver21", "ACTIVE"]])
        links = []
        for command in (novnc, xvpvnc):
            printed = await together(
                self.client(*alice, command, "myserver20"),
                self.client(*bob, command, "myserver21"),
                self.client(*alice, command, "myserver22"),
            )
            for ran, host, name in zip(
                printed, (self.one, self.two, self.two), ("myserver20", "myserver21", "myserver22"), strict=True
            ):
                found = LINKS.findall("\n".join(cell for row in ran.rows() for cell in row))
                self.assertEqual(len(found), 1, ran)
                links.append((found[0], host, name))
        for ran in await together(self.client(*alice, novnc, "myserver21"), self.client(*alice, novnc, blue)):
            self.assertEqual((ran.code, ran.output), (1, ""))
            self.assertRegex(ran.errors, "No server with a name or ID of '[^']*' exists")
        (foreign,) = await together(self.client(*alice, xvpvnc, blue))
        self.assertNotEqual(foreign.code, 0)
        self.assertIn("No Server found", foreign.errors)
        return links

    async def shows(self, url: str, host: Host, name: str) -> None:
        """Assert that the link leads to this VM's screen and keyboard."""
        viewer = await (await self.viewers.open(url)).ready()
        self.assertEqual(viewer.name, name)
        direct = await (await self.viewers.direct(host.name, await self.port(host, name))).ready()
        self.assertEqual(direct.name, f"QEMU ({name})")
        self.assertEqual(viewer.text(1), direct.text(1))
        await direct.leave()
        before = await self.memory(host, name)
        await viewer.type("n")
        self.assertEqual(await self.memory(host, name), f"{before.ljust(2)}n")
        await viewer.leave()

    async def in_a_browser(self, url: str) -> None:
        """Assert that Chromium on the controller shows the VM of this link."""
        start = Path(self.mktemp()).absolute()
        start.write_text(f'#!/bin/sh\nexec {shlex.join(self.controller.enter(chromium()))} "$@"\n')
        start.chmod(0o755)

        def steps(page: ConsolePage) -> None:
            page.wait_painted()
            page.wait_title("myserver20")
            page.type("c")

        before = await self.memory(self.one, "myserver20")
        seen = await with_page(url, steps, program=str(start))
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(seen.hosts(), {"controller"})
        self.assertEqual(await self.memory(self.one, "myserver20"), f"{before}c")

    async def no_way_to_another(self, links: list[tuple[str, Host, str]]) -> None:
        """Alice's VM ends, and one of bob's uses its port: her links are refused."""
        before = await self.port(self.two, "myserver22")
        await in_thread(self.two.run, "virsh -q destroy myserver22")
        await self.vm(self.two, "myserver23")
        await self.give(self.two, "myserver23", "bob", "blue")
        self.assertEqual(await self.port(self.two, "myserver23"), before)
        sentence = InstanceNotRunning.sentence
        for (url, _, name), status in ((links[2], 4409), (links[5], 409)):
            self.assertEqual(name, "myserver22")
            self.assertEqual(await self.viewers.refusal(url), (status, sentence))

    # --- what no one may see

    async def secrets_are_kept(self, links: list[tuple[str, Host, str]]) -> None:
        """Services run as their own users; only they can read passwords; no log contains a password or a token."""
        for host in (self.controller, self.one, self.two):
            users = (await in_thread(host.run, "ps -eo user:32,args | awk '/bin[/]twistd/ {print $1}'")).split()
            ours = [unit.command for name, unit in self.units.items() if name.startswith(host.name)]
            self.assertEqual(sorted(users), sorted(f"novnc-{command}" for command in ours if command in OURS))
            for name in ("/etc/nova/nova.conf", *(["/etc/nova/users"] if host is self.controller else [])):
                done = await in_thread(host.attempt, f"cat {name}", user="nobody")
                self.assertIn("Permission denied", done.stderr)
        done = await in_thread(self.one.attempt, "redis-cli -h controller keys '*'")
        self.assertIn("NOAUTH", done.stdout + done.stderr)
        for unit in self.units.values():
            for secret in ("Traceback", "-password", *(token_in(url) for url, _, _ in links)):
                self.assertNotIn(secret, unit.output)

    async def all_end(self) -> None:
        """Assert that each of our services ends with exit code 0."""
        ours = [unit for unit in self.units.values() if unit.command in OURS]
        self.assertEqual(await together(*(unit.stop() for unit in ours)), [0] * len(ours))
