"""A whole cloud, each part in a network namespace of its own: two consoleauths, an API, a noVNC proxy with two workers,
two compute hosts with VMs, and the servers of Redis."""

import json
import signal
import tempfile
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

from novnc_twisted.messaging.redis.keys import requests
from tests.api.harness import quick_hash
from tests.api.users import basic
from tests.failures.network import Network
from tests.failures.stores import SENTINELS, Stores
from tests.support.cloud import Host, together
from tests.support.handed_out import secret
from tests.support.twistd import Twistd

PARTS = ("auth1", "auth2", "api", "proxy", "compute1", "compute2", "hv1", "hv2", "redis1", "redis2", *SENTINELS)
"""The parts that have a network of their own; hv1 and hv2 have a libvirtd with VMs, which compute1 and compute2 use."""

COMMANDS = {
    "auth1": "consoleauth",
    "auth2": "consoleauth",
    "api": "consoleapi",
    "proxy": "novncproxy",
    "compute1": "consolecompute",
    "compute2": "consolecompute",
}
ROLES = {"consoleauth": "consoleauth", "consoleapi": "api", "novncproxy": "proxy"}
API, PROXY = 8774, 6080
PASSWORD = secret("failures-password")


class Cloud:
    """The cloud.

    :param case: its clean-up ends everything.
    :param kind: one of :data:`tests.failures.table.CLOUDS`.
    :ivar processes: the services.
    :ivar red: the UUID of the VM ``red`` on compute1, whose links are tried.
    :ivar held: the UUID of the VM ``held`` on compute1, whose sessions are stopped in their set-up.
    :ivar blue: the UUID of the VM ``blue`` on compute2.
    """

    def __init__(self, case: Any, kind: str) -> None:
        self.network = Network({name: f"10.99.0.{number}" for number, name in enumerate(PARTS, 11)})
        case.addCleanup(self.network.close)
        self.case = case
        self.addresses = self.network.addresses
        images = Path(tempfile.mkdtemp(prefix="images-", dir="/tmp"))
        images.chmod(0o755)
        case.addCleanup(rmtree, images)
        self.hosts = {name: Host(name, self.addresses[name], images) for name in ("hv1", "hv2")}
        for host in self.hosts.values():
            case.addCleanup(deferToThread, host.libvirtd.close)
        computes = (f"compute.compute{n}@{self.addresses[f'hv{n}']}" for n in (1, 2))
        self.stores = Stores(case, self.network, ("api", "consoleauth", "proxy", *computes), kind)
        self._users = Path(case.mktemp()).absolute()
        self._users.write_text(f"root:{quick_hash(PASSWORD)}\n")
        self.processes: dict[str, Twistd] = {}
        self._agent = Agent(reactor)  # type: ignore[arg-type]
        self.red = self.blue = self.held = ""

    async def start(self) -> "Cloud":
        """Start everything."""
        await together(self.stores.start(), *(self.start_libvirtd(name) for name in self.hosts))
        self.case.addCleanup(self.stop)
        _, self.red, self.held, self.blue = await together(
            self._start_services(),
            self.hosts["hv1"].define("red"),
            self.hosts["hv1"].define("held"),
            self.hosts["hv2"].define("blue"),
        )
        return self

    async def _start_services(self) -> None:
        await together(*(self.run(name) for name in COMMANDS))

    async def start_libvirtd(self, name: str) -> None:
        """Start or restart a libvirtd."""
        await self.network.in_thread(name, self.hosts[name].libvirtd.start)

    async def run(self, name: str) -> None:
        """Start or restart a service, and wait until it is ready."""
        self.begin(name)
        await self.processes[name].ready()

    def begin(self, name: str) -> None:
        """Start or restart a service, without waiting."""
        with self.network.inside(name):
            process = Twistd.start(self.case, COMMANDS[name], self._conf(name), forked=False)
        self.processes[name] = process

    def _conf(self, name: str) -> str:
        command = COMMANDS[name]
        number = name[-1]
        own = self.addresses[name]
        role = f"compute.{name}" if command == "consolecompute" else ROLES[command]
        lines = [
            "[DEFAULT]",
            f"transport_url = {self.stores.urls[role]}",
            f"host = {name}",
            f"osapi_compute_listen = {own}",
            f"osapi_compute_listen_port = {API}",
            "workers = 2" if name == "proxy" else "",
            "[api]",
            f"auth_strategy = http_basic\nhttp_basic_auth_user_file = {self._users}\nadmin_users = root",
            "[vnc]",
            f"novncproxy_host = {own}\nnovncproxy_port = {PROXY}",
            f"novncproxy_base_url = http://{self.addresses['proxy']}:{PROXY}/vnc_auto.html",
            # The links are tried many times at once, by one user.
            "[console]\nmax_sessions_per_server = 0",
            "[consoleauth]\nmax_tokens_per_server = 0",
        ]
        if command == "consolecompute":
            host = self.hosts[f"hv{number}"]
            lines += [f"[vnc]\nserver_listen = {host.address}\nserver_proxyclient_address = {host.address}"]
            lines += [f"[libvirt]\nconnection_uri = {host.libvirtd.uri}"]
        return "\n".join(lines) + "\n"

    async def stop(self) -> None:
        """End all services."""
        for process in self.processes.values():
            self._send(process, signal.SIGCONT)
        await together(*(process.stop(timeout=5) for process in self.processes.values()))

    async def kill(self, name: str) -> None:
        """Kill a service."""
        await self.processes[name].stop(signal.SIGKILL)

    def signal(self, name: str, sign: int) -> None:
        """Send a signal to a service."""
        self._send(self.processes[name], sign)

    def _send(self, process: Twistd, sign: int) -> None:
        if process.exit_code is None:
            process.process.signalProcess(sign)

    # --- the workers of the proxy

    def workers(self) -> list[int]:
        """The process ids of the proxy's workers."""
        pid = self.processes["proxy"].process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def worker_of(self, port: int) -> int | None:
        """The worker that serves the connection of a viewer with this local port."""
        table = (self.network.proc_net("proxy") / "tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in table]
        inodes = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}
        for pid in self.workers():
            for file in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if str(file.readlink()) in inodes:
                        return pid
                except OSError:
                    continue
        return None

    # --- requests of users

    async def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request to the API; return the status and the body."""
        headers = Headers({"Authorization": [basic("root", PASSWORD)], "OpenStack-API-Version": ["compute 2.31"]})
        producer = None
        if body is not None:
            headers.setRawHeaders("Content-Type", ["application/json"])
            producer = FileBodyProducer(BytesIO(json.dumps(body).encode()))
        url = f"http://{self.addresses['api']}:{API}{path}"
        response: Any = await self._agent.request(method.encode(), url.encode(), headers, producer)
        return response.code, json.loads(await readBody(response))

    async def ask(self, uuid: str) -> tuple[int, str]:
        """Ask for a link; return the status and the URL."""
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        status, answer = await self.api("POST", f"/v2.1/servers/{uuid}/remote-consoles", body)
        return status, str(answer["remote_console"]["url"]) if status == 200 else ""

    async def phases(self, uuid: str) -> list[str]:
        """The phases of all sessions of a server."""
        status, answer = await self.api("GET", f"/console/v1/sessions?server_id={uuid}")
        return [one["phase"] for one in answer["sessions"]] if status == 200 else []

    def calls_waiting(self, name: str) -> int:
        """Return the number of calls of the consoleauths that wait for a compute service."""
        return self.stores.waiting(requests(f"compute.{name}", "consoleauth"))
