"""Whether the process of a presence entry has ended."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis import process_life
from novnc_twisted.messaging.redis.process_life import has_ended, life

CHILD = "from novnc_twisted.messaging.redis.process_life import life; print(life(), flush=True); input()"


class LifeTests(SynchronousTestCase):
    def test_this_process(self) -> None:
        self.assertRegex(life(), rf"^[0-9a-f]{{16}}\.{os.getpid()}\.\d+$")
        self.assertEqual(life(), life())
        self.assertFalse(has_ended(life()))

    def test_a_process_that_is_killed(self) -> None:
        """Even before its parent has collected its exit code."""
        child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child, child.stdout as printed:
            name = printed.readline().decode().strip()
            self.assertFalse(has_ended(name))
            child.kill()
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            self.assertTrue(has_ended(name))
        self.assertTrue(has_ended(name))

    def test_a_process_that_proc_hides(self) -> None:
        """With hidepid, /proc does not show the processes of other users."""
        machine = life().partition(".")[0]

        def denied(_pid: int, _signal: int) -> None:
            raise PermissionError

        self.patch(os, "kill", denied)
        self.assertFalse(has_ended(f"{machine}.999999999.1"))

    def test_a_later_process_with_the_same_id(self) -> None:
        machine, pid, start = life().split(".")
        self.assertTrue(has_ended(f"{machine}.{pid}.{int(start) - 1}"))

    def test_another_machine(self) -> None:
        """Its processes never count as ended."""
        _, _, start = life().split(".")
        self.assertFalse(has_ended(f"{'0' * 16}.999999999.{start}"))

    def test_names_that_others_made_up(self) -> None:
        machine = life().partition(".")[0]
        for name in ("", ".", "..", machine, f"{machine}.", f"{machine}.1", f"{machine}.x.1", f"{machine}.../../etc.1"):
            self.assertFalse(has_ended(name), name)
        for pid in (str(1 << 32), "9" * 5000):
            self.assertFalse(has_ended(f"{machine}.{pid}.1"), pid)

    def test_without_proc(self) -> None:
        self.patch(process_life, "PROC", Path("/nonexistent"))
        self.assertEqual(life(), "")
        self.assertFalse(has_ended(".1.1"))
