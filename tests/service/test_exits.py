"""How processes end."""

import io
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.service import command, nova_script, worker
from novnc_twisted.service.exits import prepare_exit

CYCLE = """
class Node:
    def __del__(self):
        print("collected")

node = Node()
node.itself = node
del node
"""


PREPARE_EXIT = f"from {prepare_exit.__module__} import {prepare_exit.__name__}; {prepare_exit.__name__}()"


class LastStepsTests(SynchronousTestCase):
    """The last steps of the interpreter."""

    def run_program(self, *lines: str) -> tuple[int, str]:
        program = "\n".join(lines)
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    def test_no_garbage_collection(self) -> None:
        """It would take seconds on a busy machine."""
        self.assertEqual(self.run_program(CYCLE), (0, "collected\n"))
        self.assertEqual(self.run_program(PREPARE_EXIT, CYCLE), (0, ""))

    def test_a_late_signal(self) -> None:
        """It does not change the exit code."""
        for name in ("SIGTERM", "SIGINT"):
            # Functions that are registered first run last.
            late = f"import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.{name})"
            default = f"signal.signal(signal.{name}, signal.SIG_DFL)"
            self.assertLess(self.run_program(late, default)[0], 0)
            self.assertEqual(self.run_program(late, default, PREPARE_EXIT)[0], 0)

    def test_by_whom(self) -> None:
        """By each command, each script with nova's command line, and each worker."""
        called: list[None] = []
        for module in (command, nova_script, worker):
            self.patch(module, "prepare_exit", lambda: called.append(None))
        for module in (command, nova_script):
            self.patch(module, "end_by_signals", lambda: None)
        self.patch(sys, "stderr", io.StringIO())
        _, make = command.command("novncproxy")
        self.assertRaises(SystemExit, make, {})
        self.assertRaises(SystemExit, nova_script.main, "nova-novncproxy", "novncproxy", ["--no-such-option"])
        self.assertRaises(ValueError, worker.main, [])
        self.assertEqual(len(called), 3)
