"""A port scan of our processes, and a search for built-in secrets in the source."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.identity import HTTPBasic
from tests.api.harness import FakeHost, FakeReactor, System, quick_hash, running
from tests.compute.harness import A, ComputeCase, domain
from tests.support.redis_server import RedisServer
from tests.support.twistd import Twistd, free_port

_LISTEN = "0A"


def listening(pid: int) -> set[tuple[str, int]]:
    """Return where a process listens: kind and port; for UDP and raw sockets, everything that it has bound."""
    inodes = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the folder itself
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(handle.readlink())):
                inodes.add(found[1])
    return {(kind, port) for kind, port, inode in _sockets(pid) if inode in inodes}


def _sockets(pid: int) -> Iterator[tuple[str, int, str]]:
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            if kind.startswith("tcp") and words[3] != _LISTEN:
                continue
            where = "loopback" if address == "0100007F" else "elsewhere"
            yield f"{kind} {where}", int(port, 16), words[9]
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[3], 16) & 0x10000:  # it listens
            yield "unix", 0, words[6]


class OpenPortTests(TestCase):
    """CVE-2013-2757: consoles could be reached through the network without the proxy."""

    timeout = 300

    async def test_the_scan_finds_what_listens(self) -> None:
        """The scan finds open sockets, which proves that the other tests can fail."""
        with contextlib.ExitStack() as opened:
            mine = set()
            for kind, family, type_, address in (
                ("tcp loopback", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
                ("tcp6 elsewhere", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
                ("udp elsewhere", socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)),
                ("unix", socket.AF_UNIX, socket.SOCK_STREAM, ""),
            ):
                one = opened.enter_context(socket.socket(family, type_))
                one.bind(address)
                if type_ == socket.SOCK_STREAM:
                    one.listen()
                mine.add((kind, one.getsockname()[1] if kind != "unix" else 0))
            self.assertLessEqual(mine, listening(os.getpid()))

    async def test_one_process(self) -> None:
        ports = {name: free_port() for name in ("api", "novnc", "xvp")}
        process = Twistd.start(self, "console", self.conf(ports))
        await process.ready()
        self.assertEqual(listening(process.process.pid), {("tcp loopback", port) for port in ports.values()})

    async def test_each_command(self) -> None:
        ports = {name: free_port() for name in ("api", "novnc", "xvp")}
        redis = RedisServer(self)
        conf = f"transport_url = {redis.url}\n{self.conf(ports)}"
        wanted = {"novncproxy": "novnc", "xvpvncproxy": "xvp", "consoleapi": "api"}
        names = (*wanted, "consoleauth", "consolecompute")
        processes = {name: Twistd.start(self, name, conf) for name in names}
        await gatherResults([process.ready() for process in processes.values()])
        for name, process in processes.items():
            announced = {("tcp loopback", ports[wanted[name]])} if name in wanted else set()
            self.assertEqual(listening(process.process.pid), announced, name)

    def conf(self, ports: dict[str, int]) -> str:
        return (
            f"osapi_compute_listen_port = {ports['api']}\n[vnc]\n"
            f"novncproxy_host = 127.0.0.1\nnovncproxy_port = {ports['novnc']}\n"
            f"xvpvncproxy_host = 127.0.0.1\nxvpvncproxy_port = {ports['xvp']}\n"
            "[libvirt]\nconnection_uri = test:///default\n"
        )


class ConstantTests(SynchronousTestCase):
    """CVE-2013-2756: a built-in key let anyone sign for the console proxy.  Our installations share no key."""

    def test_a_token_of_another_installation(self) -> None:
        users = Path(self.mktemp())
        users.write_text(f"root:{quick_hash('toor')}\n")  # the same users, the same code, the same time
        systems = [
            running(self, HTTPBasic(FakeReactor(), users, admin_users=["root"]), FakeHost("host1")) for _ in range(2)
        ]
        tokens = [self.log_in(system) for system in systems]
        for at, system in enumerate(systems):
            statuses = [system.get("/v2.1/servers", X_Auth_Token=token).status for token in tokens]
            self.assertEqual(statuses, [200 if at == of else 401 for of in range(2)])

    def log_in(self, system: System) -> str:
        user = {"name": "root", "password": "toor", "domain": {"id": "default"}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        return system.post("/identity/v3/auth/tokens", body)["x-subject-token"]


class DrawnTests(ComputeCase):
    """CVE-2013-2756: a token cannot be derived from data about its VM, or from the previous token."""

    async def test_console_tokens_are_drawn(self) -> None:
        (await self.host()).add(domain())
        asked = [await self.call("get_vnc_console", instance_uuid=A, console_type="novnc") for _ in range(200)]
        drawn = [console["token"] for console in asked]
        self.assertEqual(len(set(drawn)), len(drawn))
        self.assertEqual({UUID(token).version for token in drawn}, {4})
        ever = never = 0
        for number in (UUID(token).int for token in drawn):
            ever, never = ever | number, never | ~number
        # Each of the 122 random bits of a version 4 UUID was 1 and was 0.
        self.assertEqual((ever & never & ((1 << 128) - 1)).bit_count(), 122)
