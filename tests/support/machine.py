"""A machine whose process 1 is a real systemd, for tests of the units; made of namespaces, without a container engine.

Its root folder is that of the real machine, with all writes kept apart (overlayfs on a tmpfs), so that nothing of the
real machine changes.  It has processes, network (loopback alone), cgroups and devices of its own.
``/opt/novnc_twisted`` is what the README installs, with the package in it: the units see neither ``/home`` nor
``/root``, where this checkout and its Python may be.

The machine ends with the process that started it.  All methods block.  For root, or a user with sudo.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PATH = "/opt/novnc_twisted/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

LIMIT = 120.0
"""Seconds after which a step has failed; far more than a busy machine needs."""

_TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "systemctl": "systemd",
    "journalctl": "systemd",
}


class MachineFailed(Exception):
    """The machine can't be made, or a command failed there; the text says which one and why."""


def missing() -> str | None:
    """Why this machine can't run the test, in one sentence; None: it can."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=PATH) is None:
            return f"this test needs {tool}, which is not installed: apt-get install {package}"
    if not Path("/lib/systemd/systemd").exists():
        return "this test boots systemd, which is not installed: apt-get install systemd"
    if os.geteuid() != 0 and subprocess.run([*_sudo(), "true"], capture_output=True).returncode:
        return "this test makes namespaces, which only root can: run it as root, or allow sudo -n"
    return None


def _sudo() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


class Machine:
    """See the module.

    :ivar pid: its systemd, as seen from outside.
    """

    def __init__(self) -> None:
        """Boot it.

        :raises MachineFailed: namespaces or mounts are not permitted here, for instance.
        """
        stage = Path(tempfile.mkdtemp(prefix="machine-", dir="/tmp"))
        script = CHECKOUT / "tests" / "support" / "machine.sh"
        library = f"lib/python{sysconfig.get_python_version()}"
        arguments = [stage, sys.prefix, Path(sys.base_prefix).resolve(), CHECKOUT, library]
        self._process = subprocess.Popen(
            [*_sudo(), "unshare", "--mount", "sh", str(script), *(str(one) for one in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        stage.rmdir()  # what is mounted there lives on without its name
        if not line.strip().isdigit():
            self.close()
            raise MachineFailed(f"a machine with systemd can't be made here: {self._process.stderr.read().strip()}")
        self.pid = int(line)
        self.until(lambda: self.attempt("systemctl is-active --quiet machine.target").returncode == 0)

    def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(LIMIT)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that reports no event.

        :raises MachineFailed: it did not come true within LIMIT.
        """
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                raise MachineFailed(f"waited {LIMIT:.0f} s in vain")
            time.sleep(0.05)

    def attempt(self, *lines: str, user: str | None = None, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run lines of shell there, in one shell that ends with the first error.

        :param user: who types them, with this user's groups; None: root.
        """
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = ["env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8", "HOME=/tmp", "SYSTEMD_PAGER=", "COLUMNS=200"]
        return subprocess.run(
            self._enter(*become, *environment, "bash", "-euo", "pipefail", "-c", "\n".join(lines)),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    def run(self, *lines: str, user: str | None = None, stdin: str = "") -> str:
        """The same; what they print.

        :raises MachineFailed: one fails.
        """
        done = self.attempt(*lines, user=user, stdin=stdin)
        if done.returncode:
            raise MachineFailed(f"{' ; '.join(lines)}\n{done.stdout}{done.stderr.strip()}")
        return done.stdout

    def write(self, path: str, text: str, *, mode: str = "644", owner: str = "root:root") -> None:
        """Write a file, and make its folder."""
        user, _, group = owner.partition(":")
        place = shlex.quote(path)
        self.run(
            f"mkdir -p $(dirname {place})", f"install -m {mode} -o {user} -g {group} /dev/stdin {place}", stdin=text
        )

    def show(self, unit: str, name: str) -> str:
        """A property of a unit (``systemctl show``)."""
        return self.run(f"systemctl show --property={name} --value {unit}").strip()

    def journal(self, unit: str, *more: str) -> list[dict[str, Any]]:
        """What a unit has written to the journal until now, oldest first, as ``journalctl -o json`` has it."""
        lines = self.run("journalctl --sync", shlex.join(["journalctl", "-o", "json", f"_SYSTEMD_UNIT={unit}", *more]))
        return [json.loads(line) for line in lines.splitlines()]

    def _enter(self, *command: str) -> list[str]:
        kinds = ["--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup"]
        return [*_sudo(), "nsenter", "--target", str(self.pid), *kinds, "--", *command]
