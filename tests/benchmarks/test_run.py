"""Runs of the benchmarks, also with proxies that do not start or that refuse sessions."""

import io
import resource
import signal
import sys
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import __main__, filters, instructions, long_list, pages, sessions
from benchmarks import run as run_module
from benchmarks.__main__ import subject_names
from benchmarks.load import LOOPBACK, Unavailable, free_port
from benchmarks.measure import Plan
from benchmarks.proxies import Proxy
from benchmarks.report import text
from benchmarks.run import Run

PLAN = Plan(rounds=2, seconds=0.02)


class Missing(Proxy):
    name = "missing"

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", "echo no such thing; exit 1"]


class Refusing(Proxy):
    name = "refusing"

    def start(self) -> None:
        self.urls = {"novnc": f"ws://{LOOPBACK}:{free_port()}/"}

    def version(self) -> str:
        return "1"


class Faulty(Refusing):
    """Refuses every session of the row ``set-up``, and has a known fault."""

    name = "faulty"
    faults: ClassVar[Mapping[str, str]] = {"refused": "a known fault", "silent": "another"}


class RunTests(SynchronousTestCase):
    timeout = 300

    def setUp(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    def run_of(self, plan: Plan, rows: Collection[str], *more: type[Proxy]) -> Run:
        run = Run(plan, lambda line: None)
        run.go(["direct"], rows, more)
        return run

    def test_broken_proxies_do_not_stop_the_run(self) -> None:
        run = self.run_of(PLAN, ["round-trip"], Missing, Refusing)
        self.assertEqual(list(run.values), ["round-trip"])
        self.assertEqual(list(run.values["round-trip"]), ["direct"])
        rounds = run.values["round-trip"]["direct"]
        self.assertEqual(len(rounds), 2)
        for one in rounds:
            assert one is not None
            self.assertGreater(one["p50_us"], 0)

    def test_missing_and_failing_proxies_are_reported(self) -> None:
        run = self.run_of(PLAN, ["round-trip"], Missing, Refusing)
        self.assertEqual(run.unmeasured["missing"], "it ended with 1; no such thing")
        self.assertIn("session 0: open: Connection refused", run.wrong["refusing"])
        report = text(run.record(), subject_names())
        self.assertIn("* missing: it ended with 1; no such thing", report)
        self.assertRegex(report, "\n## Failures of other proxies: .*\n\n[*] refusing: ")
        self.assertNotIn("WRONG", report)
        run.wrong["ours: set-up"] = "1 of 5 sessions failed"
        report = text(run.record(), subject_names())
        self.assertTrue(report.startswith("## WRONG"))
        self.assertLess(report.index("* ours: set-up: 1 of 5 sessions failed"), report.index("## Failures of other"))

    def test_why_a_session_failed_in_the_set_up(self) -> None:
        self.patch(run_module, "check", lambda url: None)
        run = self.run_of(Plan(rounds=1), ["set-up"], Faulty)
        self.assertRegex(
            run.wrong["faulty: set-up"],
            r"\A(\d+) of \1 sessions failed: connect: Connection refused \(a known fault\)\Z",
        )
        self.assertEqual(run.values["set-up"]["faulty"], [None])

    def test_clouds_of_hosts(self) -> None:
        run = Run(Plan(seconds=0.02, hosts=(1, 3)), lambda line: None)
        run.go(rows=["hosts"])
        self.assertEqual((run.wrong, list(run.clouds)), ({}, ["1", "3"]))
        for cloud in run.clouds.values():
            self.assertEqual((cloud["link"]["calls"], cloud["check"]["calls"]), (3, 2))
            self.assertEqual(cloud["list of all"]["calls"], 0)

    def test_sessions_of_the_console_api(self) -> None:
        self.patch(sessions, "measure", partial(sessions.measure, 3, 500))
        run = Run(Plan(), lambda line: None)
        run.go(rows=["sessions"])
        self.assertEqual((run.wrong, run.sessions.keys()), ({}, sessions.TITLES.keys()))

    def test_filters_of_policies(self) -> None:
        """A session without a policy has a filter for the viewer's bytes only."""
        run = Run(Plan(seconds=0.002), lambda line: None)
        run.go(rows=["filters"])
        self.assertEqual((run.wrong, run.filters.keys()), ({}, filters.POLICIES.keys()))
        self.assertEqual((run.filters["no policy"]["raw_s"], run.filters["no policy"]["jpeg_s"]), (0.0, 0.0))
        self.assertGreater(run.filters["clipboard of both, 1 KiB"]["jpeg_s"], 0.0)
        self.assertIn("| no policy | ", filters.table(run.filters))

    def test_pages_in_a_browser(self) -> None:
        """A ratio compares values of one round; a measurement that is not possible is named."""
        seconds = {pages.PAGES[0]: [1.0, 2.0, 9.0], pages.PAGES[1]: [1.0, 1.0, 1.0], pages.PAGES[2]: [2.0, 4.0, 6.0]}
        lines = pages.table({"slow": seconds}).splitlines()
        self.assertIn("| list, first tile | slow | 2.00 | 0.50 x (0.50..1.50) |", lines)
        self.patch(pages, "STOCK", Path("missing"))
        self.patch(long_list, "measure", partial(long_list.measure, sizes=(3, 250)))
        run = Run(Plan(rounds=1), lambda line: None)
        run.go(rows=["pages"])
        self.assertEqual((run.pages, list(run.unmeasured)), ({}, ["the first tile, and the first picture"]))
        self.assertEqual((run.wrong, run.tiles.keys()), ({}, long_list.STEPS.keys()))
        self.assertGreater(run.tiles["draw"]["250"][0], run.tiles["frame"]["250"][0])

    def test_instructions(self) -> None:
        """A fake valgrind counts 128,000 instructions for any work."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, script in (
            ("valgrind", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"'),
            ("callgrind_control", '[ "$1" != --dump ] || echo "totals: 128000" >/proc/$2/cwd/counts.1'),
        ):
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        self.patch(instructions, "installed", lambda name, package: str((folder / name).resolve()))
        work = {"message": ("up", "messages", {"b": 64, "t": 1280})}
        self.patch(instructions, "measure", partial(instructions.measure, work=work))
        run = Run(Plan(), lambda line: None)
        run.go(rows=["instructions"])
        self.assertEqual((run.wrong, run.unmeasured), ({}, {}))
        self.assertEqual(run.instructions, {"ours": {"message": 100.0}})
        self.assertIn("| ours | 0.1 |", instructions.table(run.instructions))

    def test_instructions_without_valgrind(self) -> None:
        def missing(name: str, package: str) -> str:
            raise Unavailable(f"{name} is not installed")

        self.patch(instructions, "installed", missing)
        run = Run(Plan(), lambda line: None)
        run.go(rows=["instructions"])
        self.assertEqual((run.instructions, run.unmeasured), ({}, {"instructions": "valgrind is not installed"}))

    def test_a_budget_that_is_used_up(self) -> None:
        run = self.run_of(Plan(rounds=2, seconds=0.02, budget=0.0), ["round-trip"])
        self.assertEqual(run.values, {})
        self.assertEqual(run.unmeasured["rest"], "the time was over in round 1")


class Publishing(SynchronousTestCase):
    def test_a_proxy_of_the_readme_is_missing(self) -> None:
        """Nothing is published, and the missing values are named."""
        folder = Path(self.mktemp())
        figures = {"cpu_us": 1.0}

        def go(run: Run, *_arguments: object) -> None:
            run.values = {"round-trip": {"direct": [figures], "ours": [figures]}}

        self.patch(Run, "go", go)
        self.patch(__main__, "PUBLISHED", folder / "published")
        self.patch(__main__, "ROOT", folder)
        self.patch(signal, "signal", lambda *_arguments: None)
        self.patch(sys, "argv", ["benchmarks", "--publish", "--output", str(folder / "output")])
        errors, output = io.StringIO(), io.StringIO()
        self.patch(sys, "stderr", errors)
        self.patch(sys, "stdout", output)
        self.assertEqual(__main__.main(), 1)
        self.assertIn("round-trip of nova, round-trip of websockify", errors.getvalue())
        self.assertNotIn("ours", errors.getvalue())
        self.assertEqual([path.name for path in folder.iterdir()], ["output"])
