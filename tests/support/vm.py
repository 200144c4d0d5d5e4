"""A QEMU without libvirt, for tests that need a real VNC server with a guest that reacts to typing."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from demo.guest import boot_sector
from tests.support.ports import free_port

TEXT = 0xB8000
COLUMNS, ROWS = 80, 25


class SmallVM:
    """A VM whose screen echoes what is typed.  Its methods block.

    :ivar port: port of the VNC server, on 127.0.0.1.
    """

    def __init__(self, folder: Path, name: str = "myserver20", *, vnc: str = "", more: tuple[str, ...] = ()) -> None:
        """Write the boot disk, and choose a port.

        :param vnc: further options of ``-vnc``, such as ``tls-creds=t``; all of them if they begin with ``unix:``.
        :param more: further arguments of QEMU.
        """
        self._folder, self._vnc, self._more = folder, vnc, more
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "floppy").write_bytes(boot_sector(name))
        self.port = free_port()

    def start(self) -> None:
        """Start it, and wait until its VNC server listens."""
        qemu = shutil.which("qemu-system-x86_64")
        if qemu is None:
            raise FileNotFoundError("no QEMU found: apt-get install qemu-system-x86")
        arguments = ["-accel", "tcg", "-m", "16", "-nodefaults", "-no-user-config", "-vga", "std", "-display", "none"]
        arguments += ["-daemonize", "-boot", "a"]
        arguments += ["-drive", f"if=floppy,format=raw,file={self._folder / 'floppy'}"]
        where = self._vnc if self._vnc.startswith("unix:") else f"127.0.0.1:{self.port - 5900},{self._vnc}".rstrip(",")
        arguments += [*self._more, "-vnc", where, "-pidfile", str(self._folder / "pid")]
        arguments += ["-qmp", f"unix:{self._folder / 'qmp'},server=on,wait=off"]
        subprocess.run([qemu, *arguments], check=True, capture_output=True, timeout=240)

    @property
    def pid(self) -> int:
        """The id of QEMU's process."""
        return int((self._folder / "pid").read_text())

    def stop(self) -> None:
        """Kill it, if it still runs."""
        if (self._folder / "pid").exists():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def freeze(self) -> None:
        """Freeze QEMU's process, as on an overloaded host; its VNC server stops sending."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let QEMU's process continue."""
        os.kill(self.pid, signal.SIGCONT)

    def monitor(self, command: str) -> str:
        """Run a command in QEMU's human monitor, and return its output."""
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(60)
            qmp.connect(str(self._folder / "qmp"))
            with qmp.makefile("rw") as lines:
                for execute in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "human-monitor-command", "arguments": {"command-line": command}},
                ):
                    lines.write(json.dumps(execute) + "\n")
                    lines.flush()
                    answer = {}
                    while "return" not in answer:  # the greeting and events may come before the reply
                        answer = json.loads(lines.readline())
        return str(answer["return"])

    def text(self) -> list[str]:
        """The rows of the guest's screen in text mode, without trailing spaces."""
        dump = self.monitor(f"xp /{COLUMNS * ROWS * 2}xb {TEXT:#x}")
        data = bytes(int(word, 16) for line in dump.splitlines() for word in line.partition(":")[2].split())
        screen = data[::2].decode("cp437")
        return [screen[row * COLUMNS : (row + 1) * COLUMNS].rstrip() for row in range(ROWS)]
