"""A Keystone, a Placement and a nova with two compute hosts, on loopback and in one folder.  All methods block."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.nova import configuration, seed
from tests.nova.rest import Rest
from tests.support.ports import free_port

PARTS = Path(__file__).with_name("parts")
HOSTS = ("compute1", "compute2")
SERVERS = ("myserver20", "myserver21", "myserver22")
START = 600.0
"""Seconds that the services may take to start.  They take 60 s on two idle cores."""


class Cloud:
    """The services and their configuration.

    :ivar folder: the files and logs of the services.
    :ivar venv: the environment with OpenStack.
    :ivar ports: the ports by their names.
    :ivar servers: the names of the servers.
    """

    def __init__(
        self, folder: Path, venv: Path, ports: dict[str, int] | None = None, servers: tuple[str, ...] = SERVERS
    ) -> None:
        self.folder, self.venv, self.servers = folder, venv, servers
        self.ports = ports or _free_ports()
        self.keystone_url = f"http://127.0.0.1:{self.ports['keystone']}/v3"
        self.nova_url = f"http://127.0.0.1:{self.ports['nova']}/v2.1"
        self.conf = folder / "nova.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def running(cls) -> "Cloud":
        """The cloud that ``python -m tests.nova`` has started for this process."""
        found = os.environ.get("TEST_NOVA")
        assert found, "TEST_NOVA is not set; run make test-nova"
        return cls(Path(found), **_paths(json.loads((Path(found) / "cloud.json").read_text())))

    def log_in(self, user: str = "admin", project: str = "admin") -> Rest:
        """Log in as a user."""
        return Rest(self.keystone_url, self.nova_url, user, project)

    def environment(self, user: str, project: str) -> dict[str, str]:
        """The environment variables of the command ``openstack`` for a user."""
        return {
            "OS_AUTH_URL": self.keystone_url,
            "OS_USERNAME": user,
            "OS_PASSWORD": configuration.PASSWORD.format(name=user),
            "OS_PROJECT_NAME": project,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def write(self, name: str, content: Any) -> None:
        """Replace one of the files that the driver reads, atomically."""
        new = self.folder / f"{name}.new"
        new.write_text(json.dumps(content))
        new.rename(self.folder / name)

    # --- start and stop

    def start(self) -> None:
        """Start everything, and wait until the servers are active."""
        for name in ("fernet", "credential", "state", *HOSTS):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        self._configure()
        self._spawn(
            "rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], configuration.rabbit(self.folder, self.ports)
        )
        self._spawn("stubs", [sys.executable, str(PARTS / "stubs.py"), str(self.ports["stubs"])])
        with ThreadPoolExecutor() as side_by_side:
            for done in [side_by_side.submit(step) for step in (self._prepare_keystone, self._prepare_nova)]:
                done.result()
        self._serve("placement", {"OS_PLACEMENT_CONFIG_DIR": str(self.folder)})
        self._serve("nova", {"OS_NOVA_CONFIG_DIR": str(self.folder)})
        self._listens("rabbit")
        seed.users(self.log_in(), self.ports)
        # One after the other: at the same time, they would exceed their own time-outs on a slow machine.
        self._service("conductor", "nova-conductor", [])
        self._service("scheduler", "nova-scheduler", [])
        with ThreadPoolExecutor() as side_by_side:
            for host in HOSTS:
                files = ["--config-file", str(self.folder / f"{host}.conf")]
                side_by_side.submit(self._service, "compute", host, files)
        for name in ("placement", "nova"):
            self._listens(name)
        self._until("the compute hosts to be discovered", self._discovers)
        seed.servers(self.log_in(), self.log_in("alice", "red"), self.servers)
        content = {"ports": self.ports, "venv": str(self.venv)}
        (self.folder / "cloud.json").write_text(json.dumps(content))

    def stop(self) -> None:
        """End all processes that were started here."""
        if (self.folder / "keystone.pid").exists():
            self.stop_keystone()  # a test may have started it
        for process in self._processes.values():
            _signal(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            _signal(process.pid, signal.SIGKILL)
            process.wait()
        # Erlang's port mapper daemon leaves the process group.
        subprocess.run(
            ["epmd", "-port", str(self.ports["epmd"]), "-kill"], capture_output=True, check=False, timeout=20
        )

    def start_keystone(self) -> None:
        """Start Keystone, and wait until it listens."""
        self._serve("keystone", {"OS_KEYSTONE_CONFIG_FILES": str(self.folder / "keystone.conf")}, "one-thread")
        self._listens("keystone")
        (self.folder / "keystone.pid").write_text(str(self._processes["keystone"].pid))

    def stop_keystone(self) -> None:
        """Kill Keystone, even if another process has started it."""
        pid = int((self.folder / "keystone.pid").read_text())
        _signal(pid, signal.SIGKILL)
        self._until("Keystone's end", lambda: not listens(self.ports["keystone"]))

    # --- internals

    def _configure(self) -> None:
        (packages,) = self.venv.glob("lib/python3*/site-packages")
        # Nova loads drivers from its own package only.
        shutil.copy(PARTS / "console_driver.py", packages / "nova" / "virt")
        # In a transaction that reads before it writes, SQLite does not wait for a lock, despite the time-out.
        engines = packages / "oslo_db" / "sqlalchemy" / "engines.py"
        engines.write_text(engines.read_text().replace('text("BEGIN")', 'text("BEGIN IMMEDIATE")'))
        for name, text in {
            "keystone.conf": configuration.keystone(self.folder),
            "placement.conf": configuration.placement(self.folder, self.ports),
            "nova.conf": configuration.nova(self.folder, self.ports),
            "plugins": "[].",
            **{f"{host}.conf": configuration.compute(self.folder, host) for host in HOSTS},
            "api-paste.ini": (self.venv / "etc" / "nova" / "api-paste.ini").read_text(),
        }.items():
            (self.folder / name).write_text(text)

    def _prepare_keystone(self) -> None:
        me = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        urls = [
            part for kind in ("admin", "internal", "public") for part in (f"--bootstrap-{kind}-url", self.keystone_url)
        ]
        password = configuration.PASSWORD.format(name="admin")
        for arguments in (
            ["db_sync"],
            ["fernet_setup", *me],
            ["credential_setup", *me],
            ["bootstrap", "--bootstrap-password", password, *urls, "--bootstrap-region-id", "RegionOne"],
        ):
            self._run("keystone-manage", "--config-file", str(self.folder / "keystone.conf"), *arguments)
        self.start_keystone()

    def _prepare_nova(self) -> None:
        cell0 = configuration.database(self.folder, "nova_cell0")
        for arguments in (
            ["api_db", "sync"],
            ["cell_v2", "map_cell0", "--database_connection", cell0],
            ["db", "sync"],
            ["cell_v2", "create_cell", "--name", "cell1"],
        ):
            self._run("nova-manage", "--config-file", str(self.conf), *arguments)

    def _discovers(self) -> bool:
        self._run("nova-manage", "--config-file", str(self.conf), "cell_v2", "discover_hosts")
        found = self._run("nova-manage", "--config-file", str(self.conf), "cell_v2", "list_hosts")
        return all(host in found for host in HOSTS)

    def _service(self, kind: str, name: str, more: list[str]) -> None:
        """Start a service of nova; retry if it ends, as it does if another service locks the database for too long."""
        log = self.folder / f"{name}.log"
        command = [str(self.venv / "bin" / f"nova-{kind}"), "--config-file", str(self.conf), *more]
        started = f"Starting {kind} node"
        for _ in range(5):
            log.unlink(missing_ok=True)
            process = self._spawn(name, command)
            while process.poll() is None:
                if log.exists() and started in log.read_text():
                    return
                time.sleep(0.3)
        raise AssertionError(f"{name} does not start; see {log}")

    def _serve(self, name: str, environment: dict[str, str], *more: str) -> None:
        module = {"keystone": "keystone.wsgi.api", "placement": "placement.wsgi.api", "nova": "nova.wsgi.osapi_compute"}
        python = str(self.venv / "bin" / "python")
        self._spawn(name, [python, str(PARTS / "serve.py"), module[name], str(self.ports[name]), *more], environment)

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true",
            "CONSOLES": str(self.folder / "consoles"),
            "SOURCES": str(self.folder / "sources"),
        }

    def _spawn(self, name: str, command: list[str], more: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment() | (more or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = process
        return process

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.venv / "bin" / program), *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{program} {arguments[2:]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _listens(self, name: str) -> None:
        self._until(name, lambda: listens(self.ports[name]))

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + START
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited {START:g} s for {what}; the logs are in {self.folder}")
            time.sleep(0.2)


def _free_ports() -> dict[str, int]:
    found: set[int] = set()
    while len(found) < len(configuration.PORTS):
        found.add(free_port())
    return dict(zip(configuration.PORTS, found, strict=True))


def listens(port: int) -> bool:
    """Whether a process listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _paths(content: dict[str, Any]) -> dict[str, Any]:
    return {"venv": Path(content["venv"]), "ports": content["ports"]}


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
