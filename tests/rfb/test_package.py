"""The names that the package hands on, and what importing them brings along."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted.rfb.login
import novnc_twisted.rfb.offer  # noqa: F401 - their import must not bind the modules in place of the functions
from novnc_twisted import rfb


class PackageTests(SynchronousTestCase):
    def test_every_name(self):
        """Each is there, and is not a module: ``login`` is the function though a module has its name."""
        for name in dir(rfb):
            self.assertNotIsInstance(getattr(rfb, name), type(sys))
        self.assertIs(sys.modules["novnc_twisted.rfb.login"].login, rfb.login)
        self.assertIs(sys.modules["novnc_twisted.rfb.offer"].offer, rfb.offer)

    def test_no_twisted(self):
        """The grammar is usable without Twisted; the package alone imports nothing heavy."""
        program = (
            "import sys, novnc_twisted.rfb as rfb;"
            "print(sorted(m for m in sys.modules if m.split('.')[0] in ('twisted', 'cryptography')));"
            "[getattr(rfb, name) for name in dir(rfb)];"
            "print([m for m in sys.modules if m.split('.')[0] in ('twisted', 'zope', 'autobahn')])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        self.assertEqual("[]\n[]\n", done.stdout)
