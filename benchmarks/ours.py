"""Our own proxies for measurements: ``twistd console`` on libvirt's test driver, with real tokens from its API."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.load import LOOPBACK, Unavailable, free_port
from benchmarks.proxies import Proxy

SERVER = "bench"
"""The domain's name.  The desktop of the synthetic VNC server has the same name.

Our proxy replaces the desktop's name with the domain's, and the load generator compares every byte.
"""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy for loopback


class Console(Proxy):
    """Every service in one process, so that its CPU time contains the token checks and the API.

    Three settings differ from the defaults, none of which concerns the relay: one link serves all sessions
    (``max_sessions_per_server = 0``) for the whole measurement (``token_ttl``), and one user may have thousands of
    tokens (``max_tokens_per_user = 0``).
    """

    name = "ours"
    about = "twistd console, as shipped: tokens, Origin check, RFB log-in, pings, deadlines"
    more: ClassVar[str] = ""
    """Further lines of the [console] section."""
    sessions_per_server: ClassVar[int] = 0
    ready: ClassVar[tuple[str, ...]] = ("console is ready",)
    """The log lines after which all parts run."""
    console_types: ClassVar[tuple[str, ...]] = ("novnc", "xvpvnc")
    """The console types that are measured."""
    transport_url = "memory://"
    token_ttl = 86400
    start_timeout: ClassVar[float] = 40.0
    """Seconds within which it must be ready, even on a busy machine."""
    checkout: ClassVar[Path | None] = None
    """The checkout whose code is measured; None: the installed package."""

    def __init__(self, backend: int, folder: Path) -> None:
        super().__init__(backend, folder)
        self.api_port, self.xvp_port = free_port(), free_port()
        self._uuid = str(uuid4())

    def command(self) -> list[str]:
        """The command that operators use."""
        twistd = Path(sys.executable).with_name("twistd")
        if not twistd.exists():
            raise Unavailable(f"{twistd} is missing (pip install 'novnc-twisted[libvirt]')")
        return [str(twistd), "-n", "--pidfile=", "console", "--config-file", "nova.conf"]

    def environment(self) -> dict[str, str]:
        """Our environment; a checkout precedes the installed package."""
        return dict(os.environ) if self.checkout is None else os.environ | {"PYTHONPATH": str(self.checkout)}

    def files(self) -> Mapping[str, str]:
        """nova.conf, and the domain with the synthetic server as its VNC display."""
        return {"nova.conf": self._nova_conf(), "domains.xml": self._domains()}

    def _nova_conf(self, scheme: str = "http", default: str = "") -> str:
        return f"""[DEFAULT]
transport_url = {self.transport_url}
osapi_compute_listen = {LOOPBACK}
osapi_compute_listen_port = {self.api_port}
{default}
[vnc]
novncproxy_host = {LOOPBACK}
novncproxy_port = {self.port}
novncproxy_base_url = {scheme}://{LOOPBACK}:{self.port}/vnc_auto.html
xvpvncproxy_host = {LOOPBACK}
xvpvncproxy_port = {self.xvp_port}
xvpvncproxy_base_url = {scheme}://{LOOPBACK}:{self.xvp_port}/console
server_proxyclient_address = {LOOPBACK}
[console]
max_sessions_per_server = {self.sessions_per_server}
{self.more}
[consoleauth]
token_ttl = {self.token_ttl}
max_tokens_per_user = 0
[api]
auth_strategy = noauth
[libvirt]
connection_uri = test://{self.folder}/domains.xml
"""

    def _domains(self) -> str:
        return f"<node>{domain(SERVER, self._uuid, self.backend)}</node>"

    def wait_until_it_serves(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until all parts run, then create a console of each type."""
        give_up = time.monotonic() + self.start_timeout
        while not all(words in self.log.read_text(errors="replace") for words in self.ready):
            if process.poll() is not None:
                raise Unavailable(f"it ended with {process.returncode}")
            if time.monotonic() > give_up:
                raise Unavailable(f"it is not ready after {self.start_timeout:.0f} s")
            time.sleep(0.05)
        dials = {
            "novnc": ("novnc", f"ws://{LOOPBACK}:{self.port}/"),
            "xvpvnc": ("xvp", f"connect://{LOOPBACK}:{self.xvp_port}/console"),
        }
        for console_type in self.console_types:
            front, url = dials[console_type]
            self.urls[front] = f"{url}?{self._query(console_type)}"

    def _query(self, console_type: str) -> str:
        """Request a console from the API, as OpenStack's client does; return the query of its URL with the token."""
        asked = urllib.request.Request(
            f"http://{LOOPBACK}:{self.api_port}/v2.1/servers/{self._uuid}/remote-consoles",
            json.dumps({"remote_console": {"protocol": "vnc", "type": console_type}}).encode(),
            {"Content-Type": "application/json", "X-OpenStack-Nova-API-Version": "2.8"},
        )
        try:
            with _direct.open(asked, timeout=15) as answer:
                return str(urlsplit(json.load(answer)["remote_console"]["url"]).query)
        except urllib.error.HTTPError as refusal:
            raise Unavailable(f"its API answers {refusal.code}: {refusal.read(300).decode(errors='replace')}") from None
        except (OSError, ValueError, KeyError) as trouble:
            raise Unavailable(f"its API gives out no {console_type} console: {trouble}") from None

    def version(self) -> str:
        """Our version, and that of Twisted."""
        return f"{version('novnc-twisted')}, Twisted {version('Twisted')}"


def domain(name: str, uuid: str, port: int) -> str:
    """A domain of libvirt's test driver, with its VNC display."""
    return (
        f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>16384</memory>"
        f"<os><type>hvm</type></os><devices><graphics type='vnc' port='{port}' autoport='no'"
        f" listen='{LOOPBACK}'/></devices></domain>"
    )


class ConsoleShieldOff(Console):
    """The same without the shield, which parses every message of the viewer."""

    name = "ours, shield off"
    about = "the same, with [console] shield = false"
    more = "shield = false"


def beside(checkout: Path) -> type[Console]:
    """Another checkout of this project, measured in the same run, to see what a change costs.

    :raises Unavailable: the folder is not a checkout.
    """
    folder = checkout.resolve()
    if not (folder / "novnc_twisted" / "web" / "dist").is_dir():
        raise Unavailable(f"{folder} is not a checkout of this project with a built page (make page)")

    class Beside(Console):
        """With that checkout's default settings."""

        name = "beside"
        about = f"as shipped in {folder}"
        checkout = folder

    return Beside


def knows_shield() -> bool:
    """Whether this checkout has the option ``[console] shield``; otherwise the setting is ignored."""
    from novnc_twisted.service.options.table import TABLE

    return any(option.name == "shield" for option in TABLE["console"])
