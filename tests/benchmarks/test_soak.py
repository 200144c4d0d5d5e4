"""A short ``make soak``: many sessions through whole proxies leave nothing behind."""

import dataclasses
import io
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from benchmarks import soak, takeovers
from benchmarks.crowd import Crowd
from benchmarks.load import Backend, Load, LoadFailed, Unavailable
from benchmarks.soak_report import HISTORY, Look, Outcome, Plan, growth, many, text

SHORT = Plan(seconds=4, sessions=200, typing=40, keys=3, period=2, quiet=2)


class SoakTests(TestCase):
    timeout = 240

    def setUp(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    async def run_soak(self, plan: Plan) -> Outcome:
        """Run a soak, and check that all sessions lived, there were no errors, and nothing is left."""
        outcome: Outcome = await deferToThread(soak.soak, plan, Path(self.mktemp()).absolute())
        empty, left = outcome.empty, outcome.left
        assert empty is not None
        assert left is not None
        self.assertEqual(outcome.wrong, [])
        self.assertEqual(outcome.alive, plan.sessions)
        self.assertGreater(sum(look.keys for look in outcome.looks), plan.typing)
        self.assertEqual(left.descriptors, empty.descriptors)
        for held in outcome.full:
            self.assertEqual(held.descriptors, empty.descriptors + 2 * plan.sessions)
            self.assertLess(held.calls, 10)  # one timer wheel serves all sessions
        for name in ("session.live.LiveSession", "relay.detached.side.StreamSide", "relay.timer_wheel.Timer"):
            self.assertEqual(left.objects.get(f"novnc_twisted.{name}", 0), 0, name)
            self.assertGreater(outcome.full[0].objects[f"novnc_twisted.{name}"], 0, name)
        self.assertIn(f"| {plan.sessions}, {plan.sessions} |", text(outcome))
        return outcome

    async def test_novnc_as_shipped(self) -> None:
        await self.run_soak(SHORT)

    async def test_xvp_without_shield(self) -> None:
        await self.run_soak(
            dataclasses.replace(SHORT, sessions=400, typing=20, seconds=2, period=2, quiet=0, shield=False, front="xvp")
        )


class ExitTests(SynchronousTestCase):
    def test_take_overs_that_cannot_be_measured(self) -> None:
        def unavailable(*_arguments: object) -> None:
            raise Unavailable("there is no redis-server")

        self.patch(takeovers, "run", unavailable)
        self.patch(sys, "argv", ["soak", "--take-overs", "1"])
        self.patch(signal, "signal", lambda *_arguments: None)
        self.patch(sys, "stderr", io.StringIO())
        self.assertEqual(soak.main(), 2)


class CrowdTests(TestCase):
    timeout = 300

    async def test_each_session_is_its_own(self) -> None:
        """Each link leads to its own server; a session that reaches another server fails."""
        backend = await deferToThread(Backend, 2)
        self.addCleanup(deferToThread, backend.stop)
        crowd = Crowd(backend.ports, Path(self.mktemp()).absolute())
        self.addCleanup(deferToThread, crowd.stop)
        await deferToThread(crowd.start)
        (one, first), (two, second) = await deferToThread(crowd.links, "novnc", 2)
        self.assertNotEqual(one, two)
        self.assertEqual((first, second), ("b0000", "b0001"))
        paths = Path(self.mktemp()).absolute()
        paths.write_text(f"{one} {second}\n")
        url = crowd.urls["novnc"].split("?")[0]
        failure = await self.assertFailure(deferToThread(lambda: Load("hold", url, f=str(paths))), LoadFailed)
        self.assertIn("not what is due at byte 18", str(failure))


def look(at: float, pss: int) -> Look:
    return Look(at=at, seconds=10, pss_kib=1, anon_kib=pss, descriptors=1, cpu=1, load=1)


class GrowthTests(SynchronousTestCase):
    def test_quarters(self) -> None:
        looks = [look(number, 1000 + 10 * number) for number in range(40)]
        self.assertEqual(growth(looks), 300)
        self.assertIsNone(growth(looks[:19]))

    def test_one_look_that_stands_out(self) -> None:
        looks = [look(number, 1000) for number in range(40)]
        looks[-1] = look(40, 9000)
        self.assertEqual(growth(looks), 0)

    def test_objects_of_servers_are_not_counted(self) -> None:
        plan = Plan(sessions=1600)
        self.assertEqual(many(Counter(a=399, b=401), plan), {"b": 401})

    def test_the_history_has_each_session_once(self) -> None:
        plan = Plan(sessions=1600)
        self.assertEqual(many(Counter({HISTORY: 2000}), plan), {})
        self.assertEqual(many(Counter({HISTORY: 3200}), plan), {HISTORY: 1600})
