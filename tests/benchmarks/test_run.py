"""A run with peers that do not start or that change bytes, and a run whose time is over."""

import resource
from collections.abc import Collection
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sessions
from benchmarks.__main__ import subject_names
from benchmarks.load import LOOPBACK, free_port
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


class RunTests(SynchronousTestCase):
    timeout = 60

    def setUp(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    def run_of(self, plan: Plan, rows: Collection[str], *more: type[Proxy]) -> Run:
        run = Run(plan, lambda line: None)
        run.go(["direct"], rows, more)
        return run

    def test_what_can_be_measured_is(self) -> None:
        run = self.run_of(PLAN, ["round-trip"], Missing, Refusing)
        self.assertEqual(list(run.values), ["round-trip"])
        self.assertEqual(list(run.values["round-trip"]), ["direct"])
        rounds = run.values["round-trip"]["direct"]
        self.assertEqual(len(rounds), 2)
        for one in rounds:
            assert one is not None
            self.assertGreater(one["p50_us"], 0)

    def test_who_is_missing_and_who_is_wrong_is_said(self) -> None:
        run = self.run_of(PLAN, ["round-trip"], Missing, Refusing)
        self.assertEqual(run.unmeasured["missing"], "it ended with 1; no such thing")
        self.assertIn("session 0: open: Connection refused", run.wrong["refusing"])
        report = text(run.record(), subject_names())
        self.assertIn("* missing: it ended with 1; no such thing", report)
        self.assertTrue(report.startswith("## WRONG"))

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

    def test_time_that_is_over(self) -> None:
        run = self.run_of(Plan(rounds=2, seconds=0.02, budget=0.0), ["round-trip"])
        self.assertEqual(run.values, {})
        self.assertEqual(run.unmeasured["rest"], "the time was over in round 1")
