"""A whole cloud on loopback: Redis, compute hosts with a libvirtd and an address each, and every service.

Each service is a real ``twistd`` process; the tests wait for its log lines.  Everything ends with the test.
"""

import atexit
import json
import re
import shutil
import signal
import tempfile
from collections.abc import Coroutine
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

from demo.domains import small_domain
from demo.guest import boot_sector
from demo.libvirtd import PrivateLibvirtd
from tests.support.cloud_clients import CloudClients, Ran
from tests.support.handed_out import secret
from tests.support.libvirtd import in_thread
from tests.support.redis_server import RedisServer
from tests.support.redis_users import RedisUsers
from tests.support.twistd import Twistd, free_port
from tests.support.viewer import Viewers

CONTROL = "control"
"""The host on which all services except the compute services run."""

VNC = "<graphics type='vnc' port='-1' autoport='yes'/>"
"""A VNC display at its host's address, on a port that libvirt chooses."""

_CAPABILITIES = Path(__file__).parents[2] / ".make" / "libvirt-capabilities"
_NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
_TEXT = 0xB8000

_ROLES = {"consoleauth": "consoleauth", "consoleapi": "api", "novncproxy": "proxy", "xvpvncproxy": "proxy"}

T = TypeVar("T")


class Answer(NamedTuple):
    """A response of the API."""

    status: int
    body: Any


class Host:
    """A compute host.

    :ivar address: the address of its VNC servers.
    :ivar libvirtd: its libvirtd.
    """

    def __init__(self, name: str, address: str, images: Path) -> None:
        self.name, self.address, self._images = name, address, images
        self.libvirtd = PrivateLibvirtd(cache=_CAPABILITIES)
        with (self.libvirtd.root / "c" / "libvirt" / "qemu.conf").open("a") as conf:
            conf.write(f'vnc_listen = "{address}"\n')

    def xml(self, name: str, project: str = "", graphics: str = VNC, identity: str | None = None) -> str:
        """The XML of a VM whose guest echoes keys; with a project if one is given."""
        image = self._images / f"{name}.img"
        image.write_bytes(boot_sector(name))
        metadata = ""
        if project:
            metadata = (
                f"<nova:instance xmlns:nova='{_NOVA}'><nova:owner><nova:user uuid='u-{project}'>u</nova:user>"
                f"<nova:project uuid='{project}'>{project}</nova:project></nova:owner></nova:instance>"
            )
        return small_domain(name, identity=identity, boot_image=image, graphics=graphics, metadata=metadata)

    async def define(self, name: str, **more: Any) -> str:
        """Start a persistent VM, and return its UUID."""
        identity = more.setdefault("identity", str(uuid4()))
        await in_thread(self.libvirtd.define, self.xml(name, **more))
        await in_thread(self.libvirtd.start_vm, name)
        return str(identity)

    async def create(self, name: str, **more: Any) -> str:
        """Start a transient VM, and return its UUID."""
        identity = more.setdefault("identity", str(uuid4()))
        await in_thread(self.libvirtd.create, self.xml(name, **more))
        return str(identity)

    async def virsh(self, *arguments: str) -> str:
        """What virsh prints."""
        return await in_thread(self.libvirtd.virsh, *arguments)

    async def port(self, name: str) -> int:
        """The port of a VM's VNC server."""
        found = re.search(r"<graphics type='vnc' port='(\d+)'", await self.virsh("dumpxml", name))
        assert found, f"{name} has no port"
        return int(found[1])

    async def text(self, name: str, row: int) -> str:
        """A row of a VM's screen, read from its memory without VNC."""
        command = f"xp /160xb {_TEXT + 160 * row:#x}"
        dump = await self.virsh("qemu-monitor-command", "--hmp", name, command)
        data = bytes(int(word, 16) for line in dump.splitlines() for word in line.partition(":")[2].split())
        return data[::2].decode("cp437").rstrip()

    def pid_of(self, name: str) -> int:
        """The process of a VM."""
        mark = f"guest={name},".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if mark in command and str(self.libvirtd.root).encode() in command:
                    return int(entry.name)
        raise AssertionError(f"{name} has no process")


class Cloud(CloudClients):
    """See the module.

    :param case: the test; its clean-up ends the cloud.
    :param hosts: how many compute hosts.
    :param redis_options: further lines of redis.conf.
    :param more: further lines of nova.conf, by section.
    :param acl: whether each service logs in to Redis as the user of its role.
    :param forked: see :meth:`Twistd.start`.
    :ivar redis_password: the password with which the services log in, if redis_options require one.
    :ivar processes: the services by name; a compute's is ``consolecompute compute1``.
    """

    def __init__(
        self,
        case: TestCase,
        *,
        hosts: int = 2,
        redis_options: tuple[str, ...] = (),
        more: dict[str, str] | None = None,
        acl: bool = False,
        forked: bool = True,
    ) -> None:
        self.case = case
        self._forked = forked
        self.redis = RedisServer(case, start=False, options=redis_options)
        # An interrupted trial does not run the clean-up.
        atexit.register(self._abandon)
        case.addCleanup(atexit.unregister, self._abandon)
        # One folder for all hosts, because VMs migrate; readable, because QEMU runs as another user.
        images = Path(tempfile.mkdtemp(prefix="images-", dir="/tmp"))
        images.chmod(0o755)
        case.addCleanup(shutil.rmtree, images)
        self.hosts = {f"compute{n}": Host(f"compute{n}", f"127.0.1{n}.1", images) for n in range(1, hosts + 1)}
        for host in self.hosts.values():
            case.addCleanup(deferToThread, host.libvirtd.close)
        self.users: RedisUsers | None = None
        if acl:
            computes = (f"compute.{name}@{host.address}" for name, host in self.hosts.items())
            self.users = RedisUsers(case, self.redis, ("api", "consoleauth", "proxy", *computes))
        self.one, self.two = list(self.hosts.values())[:2]
        self.ports = {name: free_port() for name in ("api", "novnc", "xvp")}
        self.processes: dict[str, Twistd] = {}
        self.ended: list[Twistd] = []
        self.viewers = Viewers(case)
        self.redis_password = ""
        self._more = more or {}
        self._slots = DeferredSemaphore(2)
        self._agent = Agent(reactor)

    @property
    def names(self) -> list[str]:
        """The names of the services."""
        return ["consoleauth", "consoleapi", "novncproxy", "xvpvncproxy", *(f"consolecompute {h}" for h in self.hosts)]

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"http://127.0.0.1:{self.ports['api']}"

    def conf(self, host: str, command: str = "") -> str:
        """The nova.conf of a host; with ``acl``, that of one command there, since each role has its Redis user."""
        compute = self.hosts.get(host)
        login = f":{self.redis_password}@" if self.redis_password else ""
        url = self.redis.url.replace("://", f"://{login}")
        if self.users is not None:
            url = self.users.urls[f"compute.{host}" if compute else _ROLES[command]]
        sections = {
            "DEFAULT": f"transport_url = {url}\nhost = {host}\ndebug = true\n"
            f"osapi_compute_listen_port = {self.ports['api']}\n",
            "vnc": f"server_listen = {compute.address if compute else '127.0.0.1'}\n"
            f"server_proxyclient_address = {compute.address if compute else '127.0.0.1'}\n"
            f"novncproxy_host = 127.0.0.1\nnovncproxy_port = {self.ports['novnc']}\n"
            f"novncproxy_base_url = http://127.0.0.1:{self.ports['novnc']}/vnc_auto.html\n"
            f"xvpvncproxy_host = 127.0.0.1\nxvpvncproxy_port = {self.ports['xvp']}\n"
            f"xvpvncproxy_base_url = http://127.0.0.1:{self.ports['xvp']}/console\n",
        }
        if compute:
            sections["libvirt"] = f"connection_uri = {compute.libvirtd.uri}\n"
        for section, lines in self._more.items():
            sections[section] = sections.get(section, "") + lines
        return "\n".join(f"[{section}]\n{lines}" for section, lines in sections.items())

    async def start(self, *, redis: bool = True) -> "Cloud":
        """Start everything at once, with or without Redis."""
        if redis:
            await in_thread(self.redis.start)
        await gatherResults([deferToThread(host.libvirtd.start) for host in self.hosts.values()])
        self.case.addCleanup(self.stop)
        await gatherResults([self._running(self.spawn(name)) for name in self.names])
        return self

    def spawn(self, name: str) -> Twistd:
        """Start a service."""
        command, _, host = name.partition(" ")
        process = Twistd.start(self.case, command, self.conf(host or CONTROL, command), forked=self._forked)
        self.processes[name] = process
        return process

    def _running(self, process: Twistd) -> Any:
        if process.command != "consolecompute":
            return process.ready()
        return gatherResults([process.ready(), process.seen("connected to libvirt")])

    async def kill(self, name: str, sign: int = signal.SIGKILL) -> int:
        """End a service, and return its exit code."""
        process = self.processes.pop(name)
        self.ended.append(process)
        return await process.stop(sign)

    async def back(self, name: str) -> None:
        """Start a service again, and wait until it runs."""
        await self._running(self.spawn(name))

    async def stop(self) -> None:
        """End all services."""
        await together(*(self.kill(name, signal.SIGTERM) for name in list(self.processes)))

    def _abandon(self) -> None:
        for process in self.processes.values():
            if process.exit_code is None:
                process.process.signalProcess("KILL")
        self.redis.kill()
        for host in self.hosts.values():
            host.libvirtd.close()

    def heard(self) -> str:
        """The output of all services."""
        return "".join(process.output for process in (*self.ended, *self.processes.values()))

    def said(self, text: str) -> Any:
        """Wait until every service has printed a text."""
        return gatherResults([process.seen(text) for process in self.processes.values()])

    # --- the API, and its clients

    async def api(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request to the API, without a client."""
        sent = Headers({"OpenStack-API-Version": ["compute 2.31"]})
        for name, value in (headers or {}).items():
            sent.setRawHeaders(name, [value])
        producer = None if body is None else FileBodyProducer(BytesIO(json.dumps(body).encode()))
        asked = self._agent.request(method.encode(), f"{self.url}/v2.1/{path}".encode(), sent, producer)
        response: Any = await asked
        return Answer(response.code, json.loads(await readBody(response)))

    async def ask_console(self, uuid: str, kind: str = "novnc") -> Answer:
        """Request a console from the API."""
        return await self.api(
            "POST", f"servers/{uuid}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": kind}}
        )

    async def console(self, uuid: str, kind: str = "novnc") -> str:
        """The URL of a new console."""
        answer = await self.ask_console(uuid, kind)
        assert answer.status == 200, f"{answer}\n{self.processes['consoleapi'].output[-2000:]}"
        url = str(answer.body["remote_console"]["url"])
        token_in(url)
        return url

    async def clients(self, *runs: tuple[str, dict[str, str]]) -> list[Ran]:
        """Run several clients."""
        return await together(*(self.client(*run) for run in runs))


def token_in(url: str) -> str:
    """The token of a console's URL."""
    return secret(parse_qs(urlsplit(url).query)["token"][0])


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Run several coroutines at once, and return their results."""
    try:
        return list(await gatherResults([Deferred.fromCoroutine(one) for one in work], consumeErrors=True))
    except FirstError as error:
        error.subFailure.raiseException()
        raise
