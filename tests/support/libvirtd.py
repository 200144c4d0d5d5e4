"""Private libvirt daemons with small VMs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from demo.domains import VNC_ON_LOOPBACK, VNC_ON_UNIX_SOCKET, small_domain, vnc_with_password
from demo.libvirtd import LibvirtdFailed, PrivateLibvirtd
from novnc_twisted.compute import LibvirtDriver
from novnc_twisted.compute.interfaces import Change, DomainEvent

__all__ = [
    "VNC_ON_LOOPBACK",
    "VNC_ON_UNIX_SOCKET",
    "LibvirtdFailed",
    "PrivateLibvirtd",
    "WatchedDriver",
    "in_thread",
    "private_libvirtd",
    "small_domain",
    "vnc_with_password",
]

_CAPABILITIES = Path(__file__).parents[2] / ".make" / "libvirt-capabilities"
"""libvirt's cache of QEMU's capabilities, kept from one test to the next."""

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """Call a blocking function (virsh, and all of PrivateLibvirtd) in a thread."""
    return await deferToThread(function, *arguments, **more)


async def private_libvirtd(test: TestCase, qemu_conf: str = "", libvirtd_conf: str = "") -> PrivateLibvirtd:
    """Start a libvirtd, which ends with the test, together with its VMs.

    :param qemu_conf: further lines of its qemu.conf.
    :param libvirtd_conf: further lines of its libvirtd.conf.
    """
    libvirtd = PrivateLibvirtd(cache=_CAPABILITIES)
    test.addCleanup(deferToThread, libvirtd.close)
    with (libvirtd.root / "c" / "libvirt" / "qemu.conf").open("a") as conf:
        conf.write(qemu_conf)
    with (libvirtd.root / "libvirtd.conf").open("a") as conf:
        conf.write(libvirtd_conf)
    await in_thread(libvirtd.start)
    return libvirtd


class WatchedDriver(LibvirtDriver):
    """A LibvirtDriver whose events a test can await.

    :ivar events: all so far.
    """

    def __init__(self, uri: str, **settings: Any) -> None:
        super().__init__(reactor, uri, **settings)
        self.events: list[DomainEvent] = []
        self._awaited: list[tuple[DomainEvent, int, Deferred[None]]] = []

    def start(self, listener: Callable[[DomainEvent], None]) -> Deferred[None]:
        def heard(event: DomainEvent) -> None:
            self.events.append(event)
            listener(event)
            for item in list(self._awaited):
                if self.events.count(item[0]) >= item[1]:
                    self._awaited.remove(item)
                    item[2].callback(None)

        return super().start(heard)

    def seen(self, change: Change, uuid: str = "", times: int = 1, timeout: float = 120) -> Deferred[None]:
        """Wait until such an event has occurred ``times`` times; fail after ``timeout`` seconds."""
        event, found = DomainEvent(change, uuid), Deferred[None]()
        if self.events.count(event) >= times:
            found.callback(None)
        else:
            self._awaited.append((event, times, found))
            found.addTimeout(timeout, reactor)  # type: ignore[arg-type]
        return found
