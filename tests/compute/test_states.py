"""The table of libvirt's states, with our names and nova's numbers."""

import libvirt
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.compute.libvirt.domains import DomainReader
from novnc_twisted.compute.states import STATES, is_migrating
from tests.compute.libvirt_handles import Handle


class StateTests(SynchronousTestCase):
    def test_all_of_them(self) -> None:
        self.assertTrue(set(range(libvirt.VIR_DOMAIN_PMSUSPENDED + 1)) <= set(STATES))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_RUNNING], ("running", 1))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_PAUSED], ("paused", 3))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_SHUTDOWN], ("shutdown", 4))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_SHUTOFF], ("shutoff", 4))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_CRASHED], ("crashed", 6))
        self.assertEqual(STATES[libvirt.VIR_DOMAIN_PMSUSPENDED], ("suspended", 7))

    def test_migrating(self) -> None:
        for reason in ("MIGRATION", "POSTCOPY", "POSTCOPY_FAILED"):
            self.assertTrue(is_migrating(libvirt.VIR_DOMAIN_PAUSED, getattr(libvirt, f"VIR_DOMAIN_PAUSED_{reason}")))
        self.assertFalse(is_migrating(libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER))
        self.assertFalse(is_migrating(libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATED))
        self.assertFalse(is_migrating(libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY))

    def test_a_state_that_comes_with_a_later_libvirt(self) -> None:
        self.assertEqual(DomainReader().fresh(Handle(state=99)).state, "nostate")
