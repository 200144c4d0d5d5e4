"""A private libvirtd with small VMs in software emulation, for the demo and for tests with real programs.

It changes nothing on the machine.  It runs in libvirt's session mode, as an unprivileged user.  All folders that it
uses are inside one folder, which :meth:`PrivateLibvirtd.close` removes.  Several private libvirtds act as several
compute hosts on one machine.  This module uses the standard library only, and all calls block: programs with a reactor
call it in a thread.
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo import libvirt_cache, processes

_LIBVIRTDS_OWN = ("r", "c", "k", "d", "s")
"""Folders in which libvirtd and its VMs write.  Root writes nothing there after they belong to libvirtd's user."""


class LibvirtdFailed(Exception):
    """libvirtd or virsh is missing, did not start, or refused a request; the text contains the reason."""


class PrivateLibvirtd:
    """One libvirtd, started by ``start`` (or ``with``) and removed with all its VMs by ``close``.

    :param cache: a folder that keeps QEMU's capabilities for the next libvirtd, which needs several seconds to
        detect them.  The folder is created if it is missing.
    :param user: the user that runs it if the caller is root.  Otherwise the caller runs it.
    :param progress: called with a short text for each step.
    :ivar root: the folder that holds everything; put images for the VMs there with :meth:`put`.  It belongs to the
        caller.  If the caller is root, root writes only in folders that no other user can change.
    :ivar user: the ids of the user and the group that run libvirtd if the caller is root; otherwise None.
    :ivar socket: the path of its read-write socket.
    :ivar uri: its connection URI.
    """

    def __init__(
        self,
        *,
        cache: Path | str | None = None,
        user: str = "nobody",
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._cache = Path(cache) if cache is not None else None
        self._progress = progress or (lambda _text: None)
        self.user: tuple[int, int] | None = None
        self._run_as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            self.user = account.pw_uid, account.pw_gid
            self._run_as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
        self._handed_over = False
        self._process: subprocess.Popen[bytes] | None = None
        # Short on purpose: QEMU's monitor socket below it must fit into 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="nt", dir="/tmp"))
        for folder in (*_LIBVIRTDS_OWN, "i"):
            (self.root / folder).mkdir(mode=0o700)
        if self.user is not None:  # others may traverse it, but not list it
            self.root.chmod(0o711)
            (self.root / "i").chmod(0o711)
        self.socket = self.root / "s" / "libvirt-sock"
        self.uri = f"qemu+unix:///session?socket={self.socket}"
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.root / "d"),
            "XDG_RUNTIME_DIR": str(self.root / "r"),
            "XDG_CONFIG_HOME": str(self.root / "c"),
            "XDG_CACHE_HOME": str(self.root / "k"),
            "XDG_DATA_HOME": str(self.root / "d"),
        }
        self._write_configuration()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- start and stop

    @property
    def pid(self) -> int | None:
        """The process id of the running libvirtd."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: float = 60.0) -> None:
        """Start it and wait until its socket answers.

        :param timeout: seconds.
        :raises LibvirtdFailed: if it is not installed, ends, or does not answer in time.
        """
        if self.pid is not None:
            return
        program = shutil.which("libvirtd", path=f"{self._environment['PATH']}:/usr/sbin:/sbin")
        if program is None:
            raise LibvirtdFailed("libvirtd is not installed (apt-get install libvirt-daemon-driver-qemu)")
        self._progress("starting libvirtd")
        if not self._handed_over:
            libvirt_cache.fetch(self._cache, self.root / "k")
            for folder in _LIBVIRTDS_OWN:
                self._give(self.root / folder)
            self._handed_over = True
        with (self.root / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                [program, "--config", str(self.root / "libvirtd.conf"), "--pid-file", str(self.root / "r" / "pid")],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self.root,
                env=self._environment,
                start_new_session=True,  # so that Ctrl-C in a terminal reaches only the demo, which then ends libvirtd
                **self._run_as,
            )
        give_up = time.monotonic() + timeout
        while not self._answers():
            if self._process.poll() is not None:
                raise LibvirtdFailed(f"libvirtd ended with {self._process.returncode}: {self.log()}")
            if time.monotonic() > give_up:
                raise LibvirtdFailed(f"libvirtd did not answer within {timeout:.0f} s: {self.log()}")
            time.sleep(0.02)

    def stop(self, signal_number: int = signal.SIGTERM, timeout: float = 10.0) -> None:
        """Stop libvirtd only; its VMs continue, as on a real host.

        :param timeout: seconds after which libvirtd is killed.
        """
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal_number)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill libvirtd (SIGKILL); its VMs continue."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Make it hang (SIGSTOP): the kernel still accepts connections, but nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue (SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop libvirtd and its VMs, each by its process id, and remove the folder."""
        if not self.root.exists():
            return
        self._progress("stopping libvirtd and its VMs")
        libvirt_cache.keep(self._cache, self.root / "k")
        self.kill()
        # The VMs are not our children.  They are found by the name of our folder in their command lines.  The second
        # look finds VMs that were about to start.
        for _ in range(2):
            for pid in processes.find(self.root):
                processes.end(pid)
        shutil.rmtree(self.root, ignore_errors=True)
        self._ports.close()

    # --- VMs

    def virsh(self, *arguments: str, timeout: float = 60.0, stdin: str | None = None) -> str:
        """Run virsh and return what it prints.

        :raises LibvirtdFailed: if it is missing, fails, or takes longer than ``timeout`` seconds.
        """
        try:
            done = subprocess.run(
                ["virsh", "--connect", self.uri, "--quiet", *arguments],
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                timeout=timeout,
                env=self._environment,
                cwd="/",
                **self._run_as,
            )
        except FileNotFoundError:
            raise LibvirtdFailed("virsh is not installed (apt-get install libvirt-clients)") from None
        except subprocess.TimeoutExpired:
            raise LibvirtdFailed(f"virsh {arguments[0]} took longer than {timeout:.0f} s") from None
        if done.returncode:
            raise LibvirtdFailed(f"virsh {arguments[0]}: {done.stderr.strip()}")
        return str(done.stdout).strip()

    def define(self, xml: str) -> None:
        """Define a persistent VM; it is stopped."""
        self._with_file(xml, "define")

    def start_vm(self, name: str) -> None:
        """Start a persistent VM; the first one waits until libvirt knows QEMU's capabilities."""
        self._progress(f"starting {name}")
        self.virsh("start", name)
        libvirt_cache.keep(self._cache, self.root / "k")

    def create(self, xml: str) -> None:
        """Start a transient VM: it is gone when it ends."""
        self._progress("starting a VM")
        self._with_file(xml, "create")
        libvirt_cache.keep(self._cache, self.root / "k")

    def destroy(self, name: str) -> None:
        """Switch a VM off (about 2 s)."""
        self.virsh("destroy", name)

    def kill_vm(self, name: str) -> None:
        """End a VM's process behind libvirt's back."""
        for pid in processes.find(self.root, f"guest={name},"):
            processes.end(pid)

    def undefine(self, name: str) -> None:
        """Undefine a persistent VM."""
        self.virsh("undefine", name)

    def dumpxml(self, name: str) -> str:
        """Return the live XML of a VM, without secrets."""
        return self.virsh("dumpxml", name)

    def put(self, name: str, content: bytes) -> Path:
        """Put a file (a disk image) where the VMs may read it."""
        path = self.root / "i" / name
        path.write_bytes(content)
        self._give(path)
        return path

    def log(self, lines: int = 5) -> str:
        """Return the last lines of libvirtd's output, in one line."""
        path = self.root / "stderr"
        texts = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
        return " | ".join(texts) or "it printed nothing"

    # --- internals

    def _write_configuration(self) -> None:
        (self.root / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.root / "s"}"\n'
            f'host_uuid = "{uuid.uuid4()}"\n'  # two on one machine must be different hosts
            'log_outputs = "3:stderr"\n'
        )
        (self.root / "libvirtd.conf").chmod(0o644)
        folder = self.root / "c" / "libvirt"
        folder.mkdir()
        # Without stdio_handler, each VM needs a virtlogd, one more process to stop.
        first, self._ports = _vnc_ports()
        (folder / "qemu.conf").write_text(
            'stdio_handler = "file"\nsecurity_driver = "none"\n'
            f"remote_display_port_min = {first}\nremote_display_port_max = {first + 99}\n"
        )

    def _give(self, path: Path) -> None:
        """Make libvirtd's user the owner of a path: of its content first, while that user cannot change it yet."""
        if self.user is None:
            return
        if path.is_dir() and not path.is_symlink():
            for item in path.iterdir():
                self._give(item)
        os.chown(path, *self.user, follow_symlinks=False)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def _with_file(self, xml: str, command: str) -> None:
        # Not a pipe, because virsh needs a file name that it can open again.
        path = self.put(f"{uuid.uuid4()}.xml", xml.encode())
        try:
            self.virsh(command, str(path))
        finally:
            path.unlink()


def _vnc_ports() -> tuple[int, socket.socket]:
    """Choose 100 ports that only the VMs of one libvirtd use.

    libvirtd looks for a free port, and QEMU takes it a moment later.  If two libvirtds had the same ports, a VM of the
    other one could take this port in between.  While an abstract unix socket (unix(7)) is open, it reserves the ports.

    :return: the first port, and the socket.
    """
    while True:
        first = random.SystemRandom().randrange(10_000, 16_300, 100)
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0novnc_twisted.vnc_ports.{first}")
        except OSError:
            holder.close()
        else:
            return first, holder
