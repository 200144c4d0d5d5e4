"""Run systemd units on hosts of :mod:`tests.support.hosts`, without systemd."""

import configparser
import os
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.support.hosts import PATH, Host
from tests.support.libvirtd import in_thread
from tests.support.twistd import Twistd

# $1: umask, $2: folder.
_PREPARE = 'umask "$1"; cd "$2"; shift 2; exec "$@"'


class Unit(Twistd):
    """A systemd unit that runs without systemd: its ExecStart, as its user and groups, without privileges.

    Its settings for restarts, limits and sandboxing are ignored, except that all capabilities are dropped and no new
    ones are allowed.
    """

    process: Any

    @classmethod
    async def begin(cls, case: TestCase, host: Host, name: str, text: str) -> "Unit":
        """Start a unit; it is stopped at the end of the test.

        :param text: the unit file.
        """
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[method-assign, assignment]
        # A parser of INI files keeps only the last value of a name that occurs several times.
        loaded = " ".join(re.findall(r"(?m)^LoadCredential=(.*)$", text))
        unit.read_string(re.sub(r"(?m)^LoadCredential=.*$", f"LoadCredential={loaded}", text))
        command = host.enter(*await in_thread(_start_of, host, unit["Service"]))
        self = cls(name)
        program = shutil.which(command[0], path=PATH) or command[0]
        self.process = reactor.spawnProcess(self, program, command, env=None, path="/")
        case.addCleanup(self.stop)
        return self

    async def stop(self, sign: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Send it a signal, wait until it has ended, and return its exit code."""
        if self.exit_code is not None:
            return self.exit_code
        self._signal(sign)
        killer = reactor.callLater(timeout, self._signal, signal.SIGKILL)
        code = await self.ended
        if killer.active():
            killer.cancel()
        return code

    def _signal(self, sign: int) -> None:
        """Send a signal to nsenter's child, since nsenter does not forward signals."""
        nsenter = self.process.pid
        for pid in Path(f"/proc/{nsenter}/task/{nsenter}/children").read_text().split() or [nsenter]:
            os.kill(int(pid), sign)


def _start_of(host: Host, service: configparser.SectionProxy) -> list[str]:
    """Return the command line that starts a unit on the host, like systemd."""
    user = service.get("User", "root")
    prepare = [service.get("UMask", "0022"), service.get("WorkingDirectory", "/")]
    command = ["sh", "-ec", _PREPARE, "sh", *prepare, "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8"]
    if user != "root":
        group = service.get("Group", user)
        if folder := service.get("RuntimeDirectory"):
            mode = service.get("RuntimeDirectoryMode", "0755")
            host.run(f"install -d -m {mode} -o {user} -g {group} /run/{folder}")
        more = service.get("SupplementaryGroups", "").split()
        groups = host.run(f"id -G {user}", *(f"getent group {name} | cut -d: -f3" for name in more)).split()
        uid, gid = host.run(f"id -u {user}", f"getent group {group} | cut -d: -f3").split()
        command += [f"USER={user}", f"LOGNAME={user}", "setpriv", f"--reuid={uid}", f"--regid={gid}"]
        command += [f"--groups={','.join(groups)}", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    credentials = _credentials(host, service, user)
    # systemd drops an argument $NAME if the variable is not set, as is the case here.
    words = [word for word in shlex.split(service["ExecStart"]) if not word.startswith("$") or word.startswith("${")]
    return command + [word.replace("${CREDENTIALS_DIRECTORY}", credentials) for word in words]


def _credentials(host: Host, service: configparser.SectionProxy, user: str) -> str:
    """Copy the files of LoadCredential to a folder that only this user can read; return the folder."""
    folder = f"/run/credentials/{user}"
    lines = [f"install -d -m 500 -o {user} {folder}"]
    defaults = dict(one.split(":", 1) for one in service.get("SetCredential", "").split())
    for name, path in (one.split(":", 1) for one in service.get("LoadCredential", "").split()):
        other = f"echo {shlex.quote(defaults[name])}" if name in defaults else "false"
        lines.append(f"{{ cat {path} 2>/dev/null || {other}; }} | install -m 400 -o {user} /dev/stdin {folder}/{name}")
    host.run(*lines)
    return folder
