"""A network namespace for each part of a cloud, and a bridge between them whose ports can be disabled.

The calling process must be in a network namespace of its own (``unshare --net``), which contains the bridge.
Everything ends with the process.
"""

import ctypes
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from twisted.internet.threads import deferToThread

USERS = "10.99.0.1"
"""The address of the users, whom this process simulates."""

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)  # os.setns() exists since Python 3.12


class Network:
    """Bridge and namespaces.

    :param addresses: the address of each part, by its name.
    """

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {name: f"port{number}" for number, name in enumerate(addresses)}
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "switch", "address", _mac(USERS), "type", "bridge", "forward_delay", "0")
        _run("ip", "address", "add", f"{USERS}/24", "dev", "switch")
        _run("ip", "link", "set", "switch", "up")
        # Permanent, so that ARP does not report a disconnected part: as behind a router, packets are just lost.
        everyone = (USERS, *addresses.values())
        self._neighbours = "".join(f"neigh add {one} lladdr {_mac(one)} nud permanent dev eth0\n" for one in everyone)
        _run("ip", "-batch", "-", given=self._neighbours.replace("eth0", "switch"))
        for name in addresses:
            self._join(name)

    def _join(self, name: str) -> None:
        """Make the namespace of a part, with an interface on the bridge."""
        # The namespace exists as long as this cat, whose standard input is closed when our process ends.
        holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self._holders[name] = holder
        ours, pid = Path("/proc/self/ns/net").readlink(), str(holder.pid)
        while Path(f"/proc/{pid}/ns/net").readlink() == ours:
            if holder.poll() is not None:
                raise RuntimeError("unshare --net fails: network namespaces can't be made here")
            time.sleep(0.002)
        port = self._ports[name]
        address = _mac(self.addresses[name])
        _run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "address", address, "netns", pid)
        _run("ip", "link", "set", port, "master", "switch", "up")
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip")
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "address", "add", f"{self.addresses[name]}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run(*inside, "-batch", "-", given=self._neighbours)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Move this thread to a part's namespace for a while; processes that it starts inherit the namespace."""
        with (
            Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open() as before,
            Path(f"/proc/{self._holders[name].pid}/ns/net").open() as there,
        ):
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(before.fileno())

    async def in_thread(self, name: str, function: Callable[[], T]) -> T:
        """Call a function in a thread that is in a part's namespace."""

        def call() -> T:
            with self.inside(name):
                return function()

        return await deferToThread(call)

    def proc_net(self, name: str) -> Path:
        """The folder that lists the sockets of a part."""
        return Path(f"/proc/{self._holders[name].pid}/net")

    def cut(self, name: str) -> None:
        """Disconnect a part: packets are lost, and nobody is notified."""
        _run("bridge", "link", "set", "dev", self._ports[name], "state", "0")

    def mend(self, name: str) -> None:
        """Reconnect a part."""
        _run("bridge", "link", "set", "dev", self._ports[name], "state", "3")

    def close(self) -> None:
        for holder in self._holders.values():
            holder.communicate()


def _setns(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns fails")


def _mac(address: str) -> str:
    return f"02:00:00:00:00:{int(address.rpartition('.')[2]):02x}"


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
