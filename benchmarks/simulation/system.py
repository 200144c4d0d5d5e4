"""The processes of the simulation: a real redis-server, consoleauth and consoleapi as shipped, and child processes."""

import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis

from benchmarks.load import LOOPBACK, ROOT, Unavailable, free_port, wait_for_port
from benchmarks.proxies import installed
from benchmarks.simulation.control import Child
from benchmarks.simulation.host_commands import words
from demo.guardian import die_with_parent

MAX_CLIENTS = 19_900
"""Maximum number of connections to Redis, if the limit of open files allows it."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class System:
    """All processes of a run.

    :ivar redis_port: the port of Redis.
    :ivar api_port: the port of consoleapi.
    :ivar pids: the processes that are measured, by name.
    """

    folder: Path
    redis_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    pids: dict[str, int] = field(default_factory=dict)
    _processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _children: list[Child] = field(default_factory=list)

    # --- Redis

    def start_redis(self) -> None:
        """Start Redis, with the data that it had when it was killed."""
        server = installed("redis-server", "redis-server")
        options = {
            "bind": LOOPBACK,
            "port": self.redis_port,
            "dir": self.folder,
            "save": "",
            "maxclients": MAX_CLIENTS,
            "tcp-backlog": 4096,
            "logfile": "redis.log",
        }
        command = [server, *(str(word) for name, value in options.items() for word in (f"--{name}", value))]
        self._start("redis", command)
        wait_for_port(self.redis_port, self._processes["redis"])
        while self.info("persistence").get("loading") != "0":
            time.sleep(0.01)

    def kill_redis(self) -> None:
        """Save the data, then kill Redis: the connections and the scripts are lost, the data is not."""
        self.command("SAVE")
        self._processes["redis"].kill()
        self._processes["redis"].wait()

    def command(self, *given: str | int) -> Any:
        """Run one command on a new connection."""
        reader = hiredis.Reader(encoding="utf-8", errors="replace")
        with socket.create_connection((LOOPBACK, self.redis_port), 60) as connection:
            connection.sendall(words(*given))
            while (reply := reader.gets()) is False:
                reader.feed(connection.recv(1 << 16))
        return reply

    def info(self, section: str) -> dict[str, str]:
        """Return a section of Redis' INFO."""
        lines = str(self.command("INFO", section)).splitlines()
        return {name: value for name, found, value in (line.partition(":") for line in lines) if found}

    def commands(self) -> dict[str, tuple[int, int]]:
        """For each command, how often Redis has run it, inside scripts too, and the microseconds that this took."""
        found = {}
        for name, text in self.info("commandstats").items():
            numbers = re.match(r"calls=(\d+),usec=(\d+)", text)
            if numbers:
                found[name.removeprefix("cmdstat_")] = int(numbers[1]), int(numbers[2])
        return found

    # --- the services

    def configure(self, limits: bool = False) -> None:
        """Write nova.conf.

        :param limits: limit the sessions of each user over all proxies.
        """
        lines = [
            "[DEFAULT]",
            f"transport_url = redis://{LOOPBACK}:{self.redis_port}/0",
            f"osapi_compute_listen_port = {self.api_port}",
            "[console]",
            f"max_sessions_per_user = {10**6 if limits else 0}",
            "[consoleauth]",
            "max_tokens_per_server = 0",
            "max_tokens_per_user = 0",
        ]
        (self.folder / "nova.conf").write_text("\n".join(lines) + "\n")

    def start_services(self) -> None:
        """Start consoleauth and consoleapi, and wait for the API."""
        self.configure()
        for name in ("consoleauth", "consoleapi"):
            self._start(name, self._twistd(name))
        wait_for_port(self.api_port, self._processes["consoleapi"])

    def _twistd(self, name: str) -> list[str]:
        twistd = str(Path(sys.executable).with_name("twistd"))
        config = str(self.folder / "nova.conf")
        log = str(self.folder / f"{name}.log")
        return [twistd, "-n", "--pidfile=", f"--logfile={log}", name, "--config-file", config]

    def _start(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, preexec_fn=die_with_parent)
        self._processes[name] = process
        self.pids[name] = process.pid

    def child(self, name: str, *arguments: object) -> Child:
        """Start a process of the simulation; it is measured as well."""
        child = Child.module(name, *arguments, folder=self.folder)
        self.pids[name] = child.process.pid
        self._children.append(child)
        return child

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a service."""
        self._processes[name].send_signal(number)

    def stop(self) -> None:
        """End everything."""
        for child in self._children:
            child.stop()
        for process in self._processes.values():
            process.kill()
            process.wait()

    # --- resources

    def cpu(self) -> dict[str, float]:
        """The CPU seconds of each process so far."""
        found = {}
        for name, pid in self.pids.items():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) / _TICKS
        return found

    def rss(self, name: str) -> int:
        """The resident memory of a process in bytes."""
        return int(Path(f"/proc/{self.pids[name]}/statm").read_text().split()[1]) * 4096

    def received(self) -> dict[str, int]:
        """The bytes that Redis has received and sent."""
        stats = self.info("stats")
        return {"in": int(stats["total_net_input_bytes"]), "out": int(stats["total_net_output_bytes"])}


@dataclass(frozen=True)
class Usage:
    """The resources used between two moments.

    :ivar cpu: seconds of each process.
    :ivar commands: Redis commands by name: how many, and their microseconds.
    """

    seconds: float
    cpu: Mapping[str, float]
    commands: Mapping[str, tuple[int, int]]
    network: Mapping[str, int]

    @property
    def calls(self) -> float:
        """Calls on the bus: each is put into a queue, and so is its reply."""
        return self.commands.get("rpush", (0, 0))[0] / 2

    @property
    def total(self) -> int:
        """Commands that Redis has run, including those in scripts."""
        return sum(number for name, (number, _) in self.commands.items() if name != "info")


class Meter:
    """Measures the resources used while a ``with`` block runs.

    :ivar usage: the result, after the block.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.usage = Usage(0, {}, {}, {})

    @contextlib.contextmanager
    def run(self) -> Iterator["Meter"]:
        """Measure."""
        system = self._system
        commands, network, cpu, began = system.commands(), system.received(), system.cpu(), time.perf_counter()
        yield self
        seconds, cpu_now = time.perf_counter() - began, system.cpu()
        after, network_now = system.commands(), system.received()
        self.usage = Usage(
            seconds,
            {name: cpu_now[name] - cpu.get(name, 0.0) for name in cpu_now},
            {
                name: (n - commands.get(name, (0, 0))[0], us - commands.get(name, (0, 0))[1])
                for name, (n, us) in after.items()
            },
            {name: network_now[name] - network[name] for name in network},
        )


def check_limits() -> None:
    """Raise the limit of open files to the hard limit.

    :raises Unavailable: the hard limit is below 2,048.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * 1024:
        raise Unavailable(f"{hard} open files are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
