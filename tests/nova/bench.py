"""Our proxy and nova-novncproxy in front of the same nova, side by side: ``make bench-nova``.

The load is that of ``make bench``: viewers and a VNC server in C.  Both proxies read the same nova.conf; the token
check, which ``make bench`` leaves out for nova, is a part of each set-up here.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Any

from benchmarks.load import Backend, wait_for_port
from benchmarks.measure import Plan, Site, Subject, Values
from benchmarks.proxies import Proxy
from benchmarks.run import raise_descriptor_limit
from tests.nova.cloud import Cloud
from tests.nova.harness import token_of
from tests.nova.picture import pictures
from tests.nova.rest import Rest

ROOT = Path(__file__).parents[2]
SERVER = "bench"
"""The name of the server, which the load's viewers expect in ServerInit."""

SESSIONS = 100


class NovaConfProxy(Proxy):
    """A proxy that reads nova's nova.conf.

    :cvar cloud: the services.
    :cvar server: the name of the server whose console the proxy shows.
    :cvar more: further options of this proxy.
    """

    cloud: Cloud
    owner: Rest
    server = SERVER
    more = ""

    def files(self) -> Mapping[str, str]:
        ports, folder = self.cloud.ports, self.cloud.folder
        text = self.cloud.conf.read_text().replace(f"log_dir = {folder}\n", "")
        return {"nova.conf": text.replace(f"port = {ports['proxy']}\n", f"port = {self.port}\n") + self.more}

    def wait_until_it_serves(self, process: "Popen[bytes]") -> None:
        wait_for_port(self.port, process, 120)
        self.urls = {"novnc": f"ws://127.0.0.1:{self.port}/websockify?token={self.token()}"}

    def token(self) -> str:
        """The token of a new link, valid for ten minutes."""
        (server,) = self.owner.do("GET", f"/servers?name={self.server}")["servers"]
        self.cloud.write("consoles", {server["id"]: {"*": ("127.0.0.1", self.backend)}})
        asked = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        answer = self.owner.do("POST", f"/servers/{server['id']}/remote-consoles", asked)
        return token_of(answer["remote_console"]["url"])


class Ours(NovaConfProxy):
    """Our proxy without the name check: the load's VNC server has no QEMU name, so nova would be asked twice."""

    name = "novnc_twisted"
    more = "\n[console]\nmax_sessions_per_server = 0\n[vnc]\nname_check = off\n"

    def command(self) -> list[str]:
        return [str(Path(sys.executable).with_name("nova-novncproxy")), "--config-file", "nova.conf"]


class Novas(NovaConfProxy):
    name = "nova-novncproxy"
    forks = True

    def command(self) -> list[str]:
        program = self.cloud.venv / "bin" / "nova-novncproxy"
        page = ROOT / "novnc_twisted" / "web" / "dist"  # our page, since the pages are not compared
        return [str(program), "--config-file", "nova.conf", "--web", str(page)]


class OursChecked(Ours):
    """Our proxy with all of its checks, for a real VM."""

    more = ""


def set_up(site: Site, subject: Subject, viewers: int, seconds: float) -> Values:
    """Measure viewers that connect, upgrade, go through RFB up to ServerInit, disconnect, and repeat."""
    got = site.timed("setup", subject, settle=1.0, d=seconds, n=viewers)
    assert got["connections"], got
    return {
        "ms": got["mean_ms"],
        "cpu_ms": got["cpu"] / got["connections"] * 1e3,
        "per_s": got["connections"] / got["secs"],
    }


def memory(site: Site, subject: Subject) -> tuple[int, int]:
    """The memory of a new process in KiB: after its first session, and with many idle sessions."""
    subject.proxy.stop()
    subject.proxy.start()
    with site.load("hold", subject, n=1):
        pass
    time.sleep(1)  # until the first session has ended
    idle = subject.proxy.memory()
    with site.load("hold", subject, n=SESSIONS):
        time.sleep(1)
        return idle, subject.proxy.memory()


def measure(cloud: Cloud, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Measure one proxy after the other; return the figures of each."""
    raise_descriptor_limit()
    NovaConfProxy.cloud, NovaConfProxy.owner = cloud, cloud.log_in("alice", "red")
    figures: dict[str, dict[str, Any]] = {}
    with Backend() as backend, tempfile.TemporaryDirectory() as folder:
        site = Site(backend, Plan())
        for kind in (Ours, Novas):
            with kind(backend.port, Path(folder) / kind.__name__) as proxy:
                subject = Subject(kind.name, proxy, "novnc")
                set_up(site, subject, 1, seconds)  # not measured: first tokens, imports and connections
                alone = [set_up(site, subject, 1, seconds) for _ in range(rounds)]
                many = [set_up(site, subject, 4, seconds) for _ in range(rounds)]
                idle, busy = memory(site, subject)
                figures[kind.name] = {
                    "ms from the link to ServerInit": median(one["ms"] for one in alone),
                    "ms of CPU for it": median(one["cpu_ms"] for one in alone),
                    "sessions a second, four at a time": median(one["per_s"] for one in many),
                    "MiB without a session": idle / 1024,
                    f"MiB with {SESSIONS} sessions": busy / 1024,
                }
    (server,) = cloud.log_in().do("GET", f"/servers/detail?all_tenants=1&name={SERVER}")["servers"]
    for name, taken in pictures((OursChecked, Novas), server, rounds).items():
        figures[name] = {"ms from the link to the picture in Chromium": taken, **figures[name]}
    return figures


def table(figures: dict[str, dict[str, float]]) -> list[str]:
    """The lines of a Markdown table: the figures of both proxies, and the ratio of the second to the first."""
    ours, theirs = figures
    lines = [f"| | {ours} | {theirs} | ratio |", "|---|---|---|---|"]
    for row, value in figures[ours].items():
        other = figures[theirs][row]
        lines.append(f"| {row} | {value:.1f} | {other:.1f} | {other / value:.2f} |")
    return lines


def main() -> int:
    """Start the cloud, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venv", default=".venv-nova", help="the environment with OpenStack")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="the duration of each measurement")
    options = parser.parse_args()
    folder = ROOT / ".make" / "bench-nova"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cloud = Cloud(folder, (ROOT / options.venv).absolute(), servers=(SERVER,))
    try:
        cloud.start()
        figures = measure(cloud, options.rounds, options.seconds)
    finally:
        cloud.stop()
    print("\n".join(table(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
