"""The demo's gateway: every service in one ``twistd console``, and OpenStack's own client."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.guardian import die_with_parent
from demo.unprivileged import start_twistd

LOOPBACK = "127.0.0.1"

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy


class DemoFailed(Exception):
    """Something that the demo needs is missing or does not work; the text is for the user."""


@dataclass(frozen=True)
class Ports:
    """The demo's ports on loopback."""

    api: int = 8774
    novnc: int = 6080
    xvp: int = 6081

    @classmethod
    def parse(cls, text: str) -> "Ports":
        """Parse three port numbers, as in DEMO_PORTS; an empty text means the default ports.

        :raises DemoFailed: if the text is anything else.
        """
        numbers = text.split()
        if not numbers:
            return cls()
        if (
            len(numbers) != 3
            or not all(number.isascii() and number.isdigit() and 0 < int(number) < 65536 for number in numbers)
            or len({int(number) for number in numbers}) != 3
        ):
            raise DemoFailed(f'DEMO_PORTS must be three different ports, as "8774 6080 6081", not {text!r}')
        return cls(*(int(number) for number in numbers))

    def check_free(self) -> None:
        """Check that the ports are free.

        :raises DemoFailed: if a port is in use; the text names it.
        """
        for port in (self.api, self.novnc, self.xvp):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((LOOPBACK, port))
                except OSError as error:
                    raise DemoFailed(
                        f"port {port} on {LOOPBACK} can't be had ({error.strerror}); "
                        'choose others: make demo DEMO_PORTS="API NOVNC XVP"'
                    ) from None

    @property
    def api_url(self) -> str:
        """The Compute API's base URL."""
        return f"http://{LOOPBACK}:{self.api}/v2.1"


def nova_conf(ports: Ports, connection_uri: str) -> str:
    """The nova.conf of the demo."""
    return f"""[DEFAULT]
transport_url = memory://
osapi_compute_listen = {LOOPBACK}
osapi_compute_listen_port = {ports.api}

[vnc]
novncproxy_host = {LOOPBACK}
novncproxy_port = {ports.novnc}
novncproxy_base_url = http://{LOOPBACK}:{ports.novnc}/vnc_auto.html
xvpvncproxy_host = {LOOPBACK}
xvpvncproxy_port = {ports.xvp}
xvpvncproxy_base_url = http://{LOOPBACK}:{ports.xvp}/console
server_proxyclient_address = {LOOPBACK}

[api]
auth_strategy = noauth

[libvirt]
connection_uri = {connection_uri}
"""


def client_settings(ports: Ports) -> dict[str, str]:
    """The environment variables with which OpenStack's clients use an API without authentication.

    python-novaclient's shell requires a user, a project and an auth URL, but does not use them.
    """
    return {
        "OS_AUTH_TYPE": "none",
        "OS_USERNAME": "x",
        "OS_PROJECT_NAME": "x",
        "OS_AUTH_URL": "http://unused",
        "OS_ENDPOINT": ports.api_url,
    }


class Console:
    """``twistd console``, from :meth:`start` to :meth:`stop`.

    :param folder: where its nova.conf and its log are written.
    :param user: the ids of the user and the group that run it if the caller is root; None: the caller.
    """

    def __init__(self, folder: Path, ports: Ports, connection_uri: str, user: tuple[int, int] | None = None) -> None:
        self.ports = ports
        self.log = folder / "console.log"
        self._config = folder / "nova.conf"
        self._config.write_text(nova_conf(ports, connection_uri))
        self._config.chmod(0o644)
        self._user = user
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; :meth:`wait_for` waits until it serves."""
        arguments = ["-n", "--pidfile=", "console", "--config-file", str(self._config)]
        with self.log.open("ab") as log:
            common: dict[str, Any] = {
                "stdin": subprocess.DEVNULL,
                "stdout": log,
                "stderr": log,
                "cwd": self._folder,  # not the checkout: twistd looks for plugins in the working directory
                "start_new_session": True,
            }
            if self._user is None:
                command = [program("twistd"), *arguments]
                self._process = subprocess.Popen(command, preexec_fn=die_with_parent, **common)
            else:
                uid, gid = self._user
                self._process = start_twistd(arguments, uid=uid, gid=gid, folder=self._folder, **common)

    def wait_for(self, server: str, timeout: float = 30.0) -> None:
        """Return when the API lists the server, the noVNC proxy serves the page, and the XVP proxy accepts connections.

        :param timeout: seconds.
        :raises DemoFailed: if it ends before that, or takes too long; the text has the end of its log.
        """
        give_up = time.monotonic() + timeout
        while not self._serves(server):
            self.check()
            if time.monotonic() > give_up:
                raise DemoFailed(f"twistd console does not serve after {timeout:.0f} s\n{self.last_lines()}")
            time.sleep(0.05)

    def check(self) -> None:
        """Check that it still runs.

        :raises DemoFailed: if it does not; the text has the end of its log.
        """
        if self._process is not None and self._process.poll() is not None:
            raise DemoFailed(f"twistd console ended with {self._process.returncode}\n{self.last_lines()}")

    def wait(self) -> None:
        """Wait until the process ends, which happens only after a failure.

        :raises DemoFailed: when it has ended.
        """
        if self._process is not None:
            self._process.wait()
        self.check()

    def stop(self, timeout: float = 7.0) -> None:
        """Stop it, and kill it if it has not ended after ``timeout`` seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_lines(self, count: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(f"  | {line}" for line in self.log.read_text(errors="replace").splitlines()[-count:])

    def _serves(self, server: str) -> bool:
        try:
            with _direct.open(f"{self.ports.api_url}/servers", timeout=2) as reply:
                names = [one["name"] for one in json.load(reply)["servers"]]
            with _direct.open(f"http://{LOOPBACK}:{self.ports.novnc}/vnc_auto.html", timeout=2):
                pass
            with socket.create_connection((LOOPBACK, self.ports.xvp), timeout=2):
                pass
        except (OSError, ValueError):  # it does not answer yet; urllib's errors are OSErrors
            return False
        return server in names


def program(name: str) -> str:
    """Return the path of a program that was installed with this Python.

    :raises DemoFailed: if it is missing.
    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoFailed(f"{path} is missing: pip install 'novnc-twisted[libvirt,clients]', or make demo")
    return str(path)


def get_vnc_console(ports: Ports, server: str, console_type: str) -> str:
    """Return what ``nova get-vnc-console SERVER TYPE`` prints: python-novaclient's own table.

    :raises DemoFailed: if the client fails; the text has its output.
    """
    done = subprocess.run(
        [program("nova"), "get-vnc-console", server, console_type],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment(client_settings(ports)),
        preexec_fn=die_with_parent,
    )
    if done.returncode:
        raise DemoFailed(f"nova get-vnc-console {server} {console_type}: {done.stderr.strip()}")
    return done.stdout


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment without OpenStack variables of another cloud, and without a proxy for loopback."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return own | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK} | settings
