"""How processes end."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service import command, worker
from novnc_twisted.service.exits import skip_last_collection

CYCLE = """
class Node:
    def __del__(self):
        print("collected")

node = Node()
node.itself = node
del node
"""


class LastCollectionTests(SynchronousTestCase):
    """Processes end without a last garbage collection, which takes seconds on a busy machine."""

    def output(self, *lines: str) -> str:
        program = "\n".join([*lines, CYCLE])
        return subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout

    def test_skipped(self) -> None:
        self.assertEqual(self.output(), "collected\n")
        name = skip_last_collection.__name__
        self.assertEqual(self.output(f"from {skip_last_collection.__module__} import {name}", f"{name}()"), "")

    def test_by_whom(self) -> None:
        """Each command, and each worker."""
        called: list[None] = []
        for module in (command, worker):
            self.patch(module, "skip_last_collection", lambda: called.append(None))
        self.patch(command, "end_by_signals", lambda: None)
        _, make = command.command("novncproxy")
        self.assertRaises(SystemExit, make, {})
        self.assertRaises(ValueError, worker.main, [])
        self.assertEqual(len(called), 2)
