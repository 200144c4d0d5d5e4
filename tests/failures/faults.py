"""How each part of a cloud is killed, stopped or disconnected, and how the fault is cured."""

import os
import signal

from twisted.internet import reactor

from novnc_twisted.messaging.waiting import sleep
from tests.failures.cloud import Cloud
from tests.failures.stores import SENTINELS
from tests.failures.table import CUT, STOP
from tests.support.cloud import together
from tests.support.libvirtd import in_thread

SERVICES = {
    "consoleauth": ("auth1",),
    "consoleauths": ("auth1", "auth2"),
    "consoleapi": ("api",),
    "compute": ("compute1",),
    "proxy": ("proxy",),
}
"""The services of each part."""

STORES = ("primary", "redis", "replica", "sentinel")

VMS = ("red", "held")


class Fault:
    """One fault of one part.

    :param worker: the process id of the worker, if the part is ``worker``.
    """

    def __init__(self, cloud: Cloud, part: str, kind: str, worker: int | None = None) -> None:
        self._cloud, self._part, self._kind, self._worker = cloud, part, kind, worker
        self._stopped: list[int] = []
        self._names: tuple[str, ...] = SERVICES.get(part, ())
        if part in ("primary", "redis"):
            self._names = (cloud.stores.primary(),)
        elif part == "replica":
            self._names = (cloud.stores.replica(),)
        elif part == "sentinel":
            self._names = SENTINELS[:1]
        elif part in ("libvirtd", "qemu"):
            self._names = ("hv1",)

    async def inject(self) -> None:
        """Begin the fault."""
        if self._kind == CUT:
            for name in self._names:
                self._cloud.network.cut(name)
        elif self._kind == STOP:
            self._stopped = self._pids()
            for pid in self._stopped:
                os.kill(pid, signal.SIGSTOP)
        elif self._part in SERVICES:
            for name in self._names:
                await self._cloud.kill(name)
        elif self._part in STORES:
            self._cloud.stores.servers[self._names[0]].kill()
        elif self._part == "libvirtd":
            await in_thread(self._cloud.hosts["hv1"].libvirtd.kill)
        else:
            for pid in self._pids():
                os.kill(pid, signal.SIGKILL)

    def _pids(self) -> list[int]:
        """The processes of the part."""
        host = self._cloud.hosts["hv1"]
        if self._part == "worker":
            return [self._worker] if self._worker else []
        if self._part == "libvirtd":
            return [host.libvirtd.pid] if host.libvirtd.pid else []
        if self._part == "qemu":
            return [host.pid_of(name) for name in VMS]
        if self._part in SERVICES:
            return [self._cloud.processes[name].process.pid for name in self._names]
        return [self._cloud.stores.servers[name].pid for name in self._names]

    async def cure(self) -> None:
        """End the fault: restart, continue or reconnect the part.  A killed worker is replaced by the proxy."""
        if self._kind == CUT:
            for name in self._names:
                self._cloud.network.mend(name)
        elif self._kind == STOP:
            for pid in self._stopped:
                os.kill(pid, signal.SIGCONT)
        elif self._part in SERVICES:
            await together(*(self._cloud.run(name) for name in self._names))
        elif self._part in STORES:
            await self._cloud.stores.run(self._names[0])
        elif self._part == "libvirtd":
            await self._cloud.start_libvirtd("hv1")
        elif self._part == "qemu":
            for name in VMS:
                await self._start_vm(name)

    async def _start_vm(self, name: str) -> None:
        host = self._cloud.hosts["hv1"]
        for _ in range(300):
            if name not in (await host.virsh("list", "--name")).split():
                break
            await sleep(0.1, reactor)  # libvirt has not noticed yet that the VM ended
        else:
            raise RuntimeError(f"libvirt still lists {name} after it was killed")
        await in_thread(host.libvirtd.start_vm, name)
