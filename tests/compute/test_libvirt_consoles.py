"""The cached consoles of active domains, which libvirt's thread and the threads for calls change concurrently."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import libvirt
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute import LibvirtDriver
from novnc_twisted.compute.libvirt import driver as libvirt_driver
from tests.compute.harness import A, B
from tests.compute.libvirt_handles import Connection, Error, Handle

GRAPHICS = "<devices><graphics type='vnc' port='5917' listen='127.0.0.1'/></devices>"


class CachedConsoles(SynchronousTestCase):
    """Another thread acts just before the cache is replaced."""

    def setUp(self) -> None:
        self.driver = LibvirtDriver(Clock())
        self.handle = self.domain(A)
        self.connection = Connection(self.handle)

    def domain(self, uuid: str) -> Handle:
        handle = Handle(uuid)
        handle.body = GRAPHICS
        return handle

    def meanwhile(self, act: Callable[[], object]) -> None:
        """Call ``act`` once, while the next value of the cache is made."""
        original, acts = libvirt_driver._Active, [act]

        def make(*arguments: Any) -> object:
            if acts:
                acts.pop()()
            return original(*arguments)

        self.patch(libvirt_driver, "_Active", make)

    def consoles(self) -> list[str]:
        return [console.uuid for console in self.driver._active(self.connection).consoles()]

    def test_an_event_while_a_list_is_kept(self) -> None:
        """A domain that becomes readable meanwhile is read by the next list, because no further event will come."""
        self.handle.error = Error(libvirt.VIR_ERR_INTERNAL_ERROR)

        def started() -> None:
            self.handle.error = None
            self.driver._changed(A)

        self.meanwhile(started)
        self.assertEqual(self.consoles(), [])
        self.assertEqual(self.consoles(), [A])

    def test_another_libvirtd_while_an_event_is_handled(self) -> None:
        """Its domains may have the ids of cached ones."""
        self.assertEqual(self.consoles(), [A])
        self.connection = Connection(self.domain(B))
        self.meanwhile(self.driver._forget)
        self.driver._changed(str(uuid4()))
        self.assertEqual(self.consoles(), [B])
