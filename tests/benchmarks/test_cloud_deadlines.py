"""The deadlines that :mod:`benchmarks.cloud_deadlines` lengthens still exist."""

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.cloud_deadlines import LATEST, SECONDS
from novnc_twisted.messaging.redis import heartbeat, scripts


class NameTests(SynchronousTestCase):
    def test_the_names_exist(self) -> None:
        for module, names in SECONDS.items():
            for name in names:
                self.assertGreater(getattr(import_module(module), name), 0, name)

    def test_the_limit_of_the_scripts(self) -> None:
        for script in scripts.ALL:
            self.assertIn(f"now + {LATEST}\n", script.text)
        self.assertGreater(LATEST, heartbeat.PRESENCE * 1000)
