"""The names that the package exports, and the modules that they import."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted.rfb.login
import novnc_twisted.rfb.offer  # noqa: F401 - their import must not bind the modules in place of the functions
from novnc_twisted import rfb


class PackageTests(SynchronousTestCase):
    def test_every_name(self):
        """Each exists and is not a module: ``login`` is the function, although a module has the same name."""
        for name in dir(rfb):
            self.assertNotIsInstance(getattr(rfb, name), type(sys))
        self.assertIs(sys.modules["novnc_twisted.rfb.login"].login, rfb.login)
        self.assertIs(sys.modules["novnc_twisted.rfb.offer"].offer, rfb.offer)

    def test_no_twisted(self):
        """No name needs Twisted; the package alone does not import cryptography, either."""
        program = (
            "import sys, novnc_twisted.rfb as rfb;"
            "print(sorted(m for m in sys.modules if m.split('.')[0] in ('twisted', 'cryptography')));"
            "[getattr(rfb, name) for name in dir(rfb)];"
            "print([m for m in sys.modules if m.split('.')[0] in ('twisted', 'zope', 'autobahn')])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        self.assertEqual("[]\n[]\n", done.stdout)
