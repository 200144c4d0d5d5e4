"""``make fuzz``: its output for targets with and without findings."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import __main__ as driver
from tests.fuzz import blind
from tests.fuzz.table import CORPUS, targets
from tests.fuzz.tools import Target, broken

ROOT = Path(__file__).parents[2]


def wrong(data: bytes) -> None:
    if b"OK" in data:
        broken("no word may be OK", data)


class DriverTests(SynchronousTestCase):
    def run_driver(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout

    def test_a_short_run(self) -> None:
        code, output = self.run_driver("--seconds", "1", "--blind", "rfb-offer")
        self.assertEqual(code, 0, output)
        self.assertIn("without coverage", output)
        self.assertIn("1 targets, ", output)

    def test_replay(self) -> None:
        code, output = self.run_driver("--replay", str(CORPUS / "shield" / "novnc"))
        self.assertEqual(code, 0, output)
        self.assertIn("nothing is wrong", output)
        code, output = self.run_driver("--replay", str(Path(__file__)))
        self.assertEqual(code, 2, output)

    def test_no_such_target(self) -> None:
        code, output = self.run_driver("nonsense")
        self.assertEqual(code, 2)
        self.assertIn("there are no targets nonsense", output)

    def test_a_finding(self) -> None:
        """A finding is minimized and kept, and the exit code is not 0."""
        folder = Path(self.mktemp())
        folder.mkdir()
        target = Target("wrong", wrong, words=(b"OK",))
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            self.assertEqual(blind.drive(target, 30, f"{folder}/"), 77)
            self.assertEqual(blind.drive(Target("right", len), 0.1, f"{folder}/"), 0)  # type: ignore[arg-type]
        (found,) = folder.iterdir()
        self.assertEqual(found.read_bytes(), b"OK")

    def test_the_table(self) -> None:
        good, bad, none = (
            driver.Outcome(target, executions=count, seconds=2.0, failed=failed, findings=findings)
            for target, count, failed, findings in zip(
                list(targets().values()), (3000, 7, 0), (False, True, True), ([], [Path("x")], []), strict=False
            )
        )
        text = driver.table([good, bad, none], True, 6.0)
        self.assertIn("3 targets, 3,007 executions led by coverage (atheris) in 6 s, 2 failed", text)
        lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
        self.assertEqual(lines[good.target.name][1:3], ["3,000", "1,500"])
        self.assertEqual(lines[good.target.name][-1], "0")
        self.assertEqual(lines[bad.target.name][-1], "1")
        self.assertIn("did not run", text)
