"""Several hosts on one machine: namespaces with an Ethernet between them, for tests that deploy something.

Each host has its own network, name and processes, and a copy-on-write view (overlayfs) of the machine's root folder.
So ``/etc``, ``/run``, ``/var`` and users differ between hosts, and the machine itself does not change.
Nothing outlives the test, however it ends: a host's first process ends when its pipe from the test closes, and the
kernel then ends all other processes there and removes the mounts and the network.

Functions that are not coroutines block: call them in a thread.  Root only.
"""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.session.harness import Raw
from tests.support.libvirtd import in_thread
from tests.support.viewer import Viewer, Viewers

CHECKOUT = Path(__file__).resolve().parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of systemd's services, and of root's shell."""

TIMEOUT = 240.0
"""Seconds that a command may take: a client that computes for 2 s takes more than a minute on a busy machine."""

_TOOLS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux"}

# A host's first process: it reaps its children, and ends when the pipe closes.
_FIRST = (
    "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    "print('up', flush=True); sys.stdin.buffer.read()"
)

# Only harmless devices: if there were a /dev/kvm, libvirt would try to use it.
# $1: a folder for the writes; $2 and later: trees on other file systems, which are needed as well.
_ROOT = r"""
set -e
stage=$1; shift
mount -t tmpfs -o mode=755 hosts "$stage"
mkdir "$stage/written" "$stage/work" "$stage/root"
mount -t overlay -o "lowerdir=/,upperdir=$stage/written,workdir=$stage/work" hosts "$stage/root"
cd "$stage/root"
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
ln -s /proc/self/fd pts/ptmx dev
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t devpts -o newinstance,ptmxmode=0666 pts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 run run
: > run/host-of-a-test
for tree in "$@"; do
    mkdir -p ".$tree"
    mount --bind "$tree" ".$tree"
done
mkdir run/before
pivot_root . run/before
cd /
umount -l /run/before
rmdir /run/before
"""

_HERE = "[ -e /run/host-of-a-test ]"
"""Checked before each command, so that no error can let it run on the machine itself."""

_CONNECT = (
    "import socket, sys; there = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10); "
    "socket.send_fds(socket.socket(fileno=int(sys.argv[3])), [b'!'], [there.fileno()])"
)


class HostsFailed(Exception):
    """A host can't be made, or a command failed there; the text says which and why."""


def missing() -> str | None:
    """The reason why this process cannot make hosts, as a sentence; None if it can."""
    if os.geteuid() != 0 and not _sudo():
        return "this test makes hosts out of namespaces, which only root can: run it as root, or allow sudo -n"
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=PATH) is None:
            return f"this test makes hosts with {tool}, which is not installed: apt-get install {package}"
    return None


def _sudo() -> bool:
    try:
        return subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=TIMEOUT).returncode == 0
    except FileNotFoundError:
        return False


class _Namespace:
    """Namespaces that live as long as their first process."""

    def __init__(self, *kinds: str, before: str = "", arguments: tuple[str, ...] = ()) -> None:
        script = f"{before}\nexec {shlex.join([sys.executable, '-I', '-S', '-c', _FIRST])}"
        self._process = subprocess.Popen(
            ["unshare", *kinds, "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        if self._process.stdout.readline() != b"up\n":
            errors = self._process.stderr.read().decode().strip()
            self.close()
            raise HostsFailed(f"namespaces can't be made here: {errors}")
        self.pid = int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())

    def close(self) -> None:
        """End it and all processes in it, and wait until they have ended."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Network:
    """An Ethernet, and hosts on it that resolve each other's names.

    :param addresses: the address of each host with its prefix length, by its name.
    :ivar hosts: the hosts, by name.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.hosts: dict[str, Host] = {}
        self._switch = _Namespace("--net")
        try:
            self._ip("link", "add", "switch", "type", "bridge", "forward_delay", "0")
            self._ip("link", "set", "switch", "up")
            for name, address in addresses.items():
                host = self.hosts[name] = Host(name, address.partition("/")[0])
                self._ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
                self._ip("link", "set", name, "master", "switch", "up")
                host.run("ip link set lo up", f"ip address add {address} dev eth0", "ip link set eth0 up")
            names = "".join(f"{host.address} {host.name}\n" for host in self.hosts.values())
            for host in self.hosts.values():
                host.write("/etc/hosts", f"127.0.0.1 localhost\n{names}")
        except BaseException:
            self.close()
            raise

    @classmethod
    async def start(cls, case: TestCase, addresses: Mapping[str, str]) -> "Network":
        """Make one that ends with the test."""
        self = await in_thread(cls, addresses)
        case.addCleanup(deferToThread, self.close)
        return self

    def close(self) -> None:
        """End all hosts."""
        for host in self.hosts.values():
            host.close()
        self._switch.close()

    def _ip(self, *words: str) -> None:
        _run(["nsenter", "--target", str(self._switch.pid), "--net", "ip", *words])


class Host:
    """See the module.

    :ivar pid: process id of its first process, as the test sees it.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        needed = [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), CHECKOUT]
        mounts = [str(path) for path in needed if path.stat().st_dev != Path("/").stat().st_dev]
        stage = Path(tempfile.mkdtemp(prefix="host-", dir="/tmp"))
        kinds = ("--mount", "--net", "--uts", "--ipc")
        try:
            self._namespace = _Namespace(*kinds, before=_ROOT, arguments=(str(stage), *mounts))
        finally:
            stage.rmdir()  # the host keeps what is mounted there
        self.pid = self._namespace.pid
        # Python may be installed in a home folder that other users cannot enter; here they can.
        open_up = sorted({str(parent) for path in needed for parent in path.parents})
        try:
            self.run(f"hostname {name}", f"chmod a+x {shlex.join(open_up)}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it."""
        self._namespace.close()

    def enter(self, *command: str) -> list[str]:
        """The command line, for use outside, that runs a command here."""
        inside = ["--mount", "--net", "--uts", "--ipc", "--pid"]
        return ["nsenter", "--target", str(self.pid), *inside, "--", *command]

    def run(self, *lines: str, folder: Path | str = "/", path: str = PATH, user: str | None = None) -> str:
        """Run lines of shell here, in one shell that stops at the first error; return what they print.

        :param user: the user who runs them; None: root.
        :raises HostsFailed: a line failed.
        """
        done = self.attempt(*lines, folder=folder, path=path, user=user)
        if done.returncode:
            raise HostsFailed(f"{self.name}: {done.stdout}{done.stderr.strip()}")
        return done.stdout

    def attempt(
        self, *lines: str, folder: Path | str = "/", path: str = PATH, user: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Like `run`, but accept any exit code."""
        become = []
        if user is not None:
            gid = _run(self.enter("id", "-g", user)).strip()
            become = ["setpriv", f"--reuid={user}", f"--regid={gid}", "--init-groups"]
        environment = ["env", "-i", f"PATH={path}", "LC_ALL=C.UTF-8", "HOME=/tmp", "TERM=dumb", "COLUMNS=200"]
        script = "\n".join([_HERE, f"cd {shlex.quote(str(folder))}", *lines])
        return subprocess.run(
            self.enter(*become, *environment, "bash", "-euo", "pipefail", "-c", script),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file here, and make its folder."""
        data = content.encode() if isinstance(content, str) else content
        command = f'{_HERE}; mkdir -p "$(dirname "$1")"; cat > "$1"; chmod {mode:o} "$1"'
        _run(self.enter("sh", "-ec", command, "sh", name), data)

    def connect(self, name: str, port: int) -> socket.socket:
        """Open a TCP connection from here; the host's own resolver is used for the name."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            arguments = [name, str(port), str(theirs.fileno())]
            command = self.enter(sys.executable, "-I", "-S", "-c", _CONNECT, *arguments)
            _run(command, pass_fds=(theirs.fileno(),))
            _, (descriptor,), _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptor)


class ViewersAt(Viewers):
    """Viewers that connect from a host.

    :param case: the test; its clean-up ends them.
    """

    def __init__(self, case: TestCase, host: Host) -> None:
        super().__init__(case)
        self._host = host

    async def raw(self, host: str, port: int, *, tls: bool = False) -> Raw:
        """Open a TCP connection from that host."""
        connection = await in_thread(self._host.connect, host, port)
        raw: Any = Raw()
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda address: raw  # type: ignore[method-assign, assignment]
        with connection:
            connection.setblocking(False)
            reactor.adoptStreamConnection(connection.fileno(), socket.AF_INET, factory)  # type: ignore[attr-defined]
        self._case.addCleanup(Viewer(raw, raw).leave)
        return raw  # type: ignore[no-any-return]


def _run(command: list[str], data: bytes = b"", **more: Any) -> str:
    done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT, **more)
    if done.returncode:
        raise HostsFailed(f"{shlex.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return str(done.stdout.decode())
