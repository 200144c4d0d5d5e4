"""A machine whose process 1 is a real systemd, for tests of the units; made of namespaces, without a container engine.

Its root folder is a copy-on-write view of the real machine's (overlayfs on a tmpfs), so that the real machine does not
change.  It has its own processes, network (loopback only), cgroups and devices.  ``/opt/novnc_twisted`` has what the
README installs, together with the package: the units see neither ``/home`` nor ``/root``, where this checkout and its
Python may be.

The machine ends with the process that started it.  All methods block.  It needs root, or a user with sudo.
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
"""Seconds after which a step has failed; far more than it takes on a busy machine."""

_TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "systemctl": "systemd",
    "journalctl": "systemd",
}


class MachineFailed(Exception):
    """The machine can't be made, or a command failed there; the text names the command and the cause."""


def missing() -> str | None:
    """The reason why this machine cannot run the test, as a sentence; None if it can."""
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

    :ivar pid: process id of its systemd, as seen from outside.
    """

    def __init__(self) -> None:
        """Boot it.

        :raises MachineFailed: it did not boot, for example because namespaces or mounts are not permitted here.
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
        stage.rmdir()  # the machine keeps what is mounted there
        if not line.strip().isdigit():
            self.close()
            raise MachineFailed(f"a machine with systemd can't be made here: {self._process.stderr.read().strip()}")
        self.pid = int(line)
        self.until(lambda: self.attempt("systemctl is-active --quiet machine.target").returncode == 0)

    def close(self) -> None:
        """End it, and wait until all of its processes have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(LIMIT)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait, by polling, for a state that no event announces.

        :raises MachineFailed: it was not reached within LIMIT.
        """
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                raise MachineFailed(f"waited {LIMIT:.0f} s in vain")
            time.sleep(0.05)

    def attempt(self, *lines: str, user: str | None = None, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run lines of shell there, in one shell that stops at the first error.

        :param user: the user who runs them, with its groups; None: root.
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
        """Like `attempt`, but return what the lines print.

        :raises MachineFailed: a line failed.
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
        """The journal entries of a unit, oldest first, in the form of ``journalctl -o json``."""
        lines = self.run("journalctl --sync", shlex.join(["journalctl", "-o", "json", f"_SYSTEMD_UNIT={unit}", *more]))
        return [json.loads(line) for line in lines.splitlines()]

    def _enter(self, *command: str) -> list[str]:
        kinds = ["--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup"]
        return [*_sudo(), "nsenter", "--target", str(self.pid), *kinds, "--", *command]
