"""The totals of several workers, and the status that a worker reports to its supervisor."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events.records import TokenRefused
from novnc_twisted.monitoring.metrics import Metrics
from novnc_twisted.monitoring.status import Samples, Status
from novnc_twisted.monitoring.totals import Totals
from tests.monitoring.test_metrics import closed, session

SESSIONS = "novnc_sessions", (("type", "novnc"),)
BYTES = "novnc_session_bytes_total", (("direction", "in"),)


def samples(sessions: float, received: float) -> Samples:
    return {SESSIONS: sessions, BYTES: received}


class TotalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.totals = Totals()

    def test_sum(self) -> None:
        total = self.totals.add({1: samples(2, 10), 2: samples(3, 100)})
        self.assertEqual((total[SESSIONS], total[BYTES]), (5, 110))

    def test_a_silent_worker(self) -> None:
        """Its counters keep their last value; its gauges are left out."""
        self.totals.add({1: samples(2, 10), 2: samples(3, 100)})
        total = self.totals.add({1: samples(1, 20), 2: None})
        self.assertEqual((total[SESSIONS], total[BYTES]), (1, 120))
        self.assertEqual(self.totals.add({1: None, 2: None})[BYTES], 120)
        self.assertEqual(self.totals.add({1: samples(1, 20), 2: samples(3, 150)})[BYTES], 170)

    def test_a_worker_that_never_answered(self) -> None:
        self.assertEqual(self.totals.add({1: None}), {})

    def test_a_worker_that_ended(self) -> None:
        """Its counters stay in the totals, although its successor with the same number begins with 0."""
        self.totals.add({1: samples(2, 10)})
        self.totals.ended(1)
        self.assertEqual(self.totals.add({})[BYTES], 10)
        total = self.totals.add({1: samples(1, 1)})
        self.assertEqual((total[SESSIONS], total[BYTES]), (1, 11))
        self.totals.ended(1)
        self.totals.ended(7)
        self.assertEqual(self.totals.add({1: samples(0, 5)})[BYTES], 16)


class StatusTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        metrics = Metrics()
        metrics(closed("live", bytes_in=3))
        metrics(TokenRefused(cause="InvalidToken"))
        metrics.watch([session()])
        status = Status(state="running", missing={"bus": "no answer"}, samples=metrics.samples())
        self.assertEqual(Status.from_json(json.loads(json.dumps(status.to_json()))), status)

    def test_ready(self) -> None:
        self.assertTrue(Status(state="running").ready)
        self.assertFalse(Status(state="running", missing={"bus": ""}).ready)
        self.assertFalse(Status(state="starting").ready)
        self.assertFalse(Status(state="stopping").ready)

    def test_what_is_no_sample_is_left_out(self) -> None:
        """So a worker cannot add time series."""
        good = ["novnc_sessions", {"type": "novnc"}, 1.0]
        bad = (
            ["novnc_other", {}, 1.0],
            ["novnc_sessions", {"type": "evil"}, 1.0],
            ["novnc_sessions", {"type": "novnc", "user": "x"}, 1.0],
            ["novnc_sessions", {}, 1.0],
            ["novnc_sessions", {"type": "novnc", "le": "1"}, 1.0],
            ["novnc_session_setup_seconds_sum", {"phase": "dial", "le": "1"}, 1.0],
            ["novnc_session_setup_seconds_bucket", {"phase": "dial"}, 1.0],
            ["novnc_build_info", {"version": "1", "python": "2"}, 1.0],
            ["novnc_sessions", {"type": "novnc"}, float("inf")],
        )
        status = Status.from_json(
            {"state": "running", "missing": {"bus": "a\nb", "evil": "x"}, "samples": [good, *bad]}
        )
        self.assertEqual(status.samples, {SESSIONS: 1.0})
        self.assertEqual(status.missing, {"bus": "a?b"})

    def test_malformed(self) -> None:
        reports: tuple[Any, ...] = (
            {},
            {"state": "x", "missing": [], "samples": []},
            [],
            {"state": "x", "missing": {}, "samples": [1]},
        )
        for report in (
            *reports,
            {"state": "x", "missing": {}, "samples": [["novnc_sessions", {"type": "novnc"}, "1"]]},
            {"state": "x", "missing": {}, "samples": [["novnc_sessions", {"type": "novnc"}, 10**400]]},
        ):
            self.assertRaises(ValueError, Status.from_json, report)
