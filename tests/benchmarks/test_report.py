"""The arithmetic of the report, and the format of its picture and tables."""

import argparse
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import long_list, pages
from benchmarks.__main__ import _list_of, leave, subject_names
from benchmarks.measure import FULL, QUICK, ROWS, Values
from benchmarks.picture import draw
from benchmarks.report import GOALS, Finding, Goal, goals_table, medians, ratios, text, values_table
from benchmarks.report import finding as found

BULK = next(goal for goal in GOALS if (goal.row, goal.against, goal.front) == ("bulk", "haproxy", "novnc"))
UPSTREAM = next(goal for goal in GOALS if goal.row == "upstream")
CLOUD = {"calls": 3.0, "reads": 0.5, "cpu_ms": 4.25, "ms": 1234.0}
ONE_CPU = next(goal for goal in GOALS if goal.at_least)


def bulk(*seconds: float | None) -> list[Values | None]:
    return [None if one is None else {"cpu_s_per_gb": one} for one in seconds]


def finding(goal: Goal, *each: float, variant: str = "shield off") -> Finding:
    return Finding(goal, variant, each)


class LeaveTests(SynchronousTestCase):
    def test_the_files_that_the_documents_include(self) -> None:
        folder = Path(self.mktemp()) / "performance"
        leave(folder, "report", "<svg/>")
        self.assertEqual([(folder / name).read_text() for name in ("latest.md", "latest.svg")], ["report", "<svg/>"])
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["latest.md", "latest.svg"])


class RatioTests(SynchronousTestCase):
    def test_within_each_round(self) -> None:
        """Other load on the machine that doubles both costs in one round does not change the ratio."""
        values = {"bulk": {"haproxy": bulk(0.6, 1.2), "ours": bulk(0.3, 0.6)}}
        self.assertEqual(list(ratios(values, BULK, "ours")), [0.5, 0.5])

    def test_a_round_that_failed_is_left_out(self) -> None:
        values = {"bulk": {"haproxy": bulk(0.6, None, 0.6, 0.0), "ours": bulk(None, 0.3, 0.3, 0.3)}}
        self.assertEqual(list(ratios(values, BULK, "ours")), [0.5])

    def test_nothing_to_compare_with(self) -> None:
        self.assertEqual(list(ratios({"bulk": {"ours": bulk(0.3)}}, BULK, "ours")), [])
        self.assertEqual(list(ratios({}, BULK, "ours")), [])

    def test_median_and_spread(self) -> None:
        self.assertEqual(
            medians({"bulk": {"a": bulk(1.0, None, 4.0, 2.0)}}, "bulk", "cpu_s_per_gb"), {"a": (2.0, 0.75)}
        )


class VerdictTests(SynchronousTestCase):
    def test_at_most(self) -> None:
        self.assertTrue(finding(BULK, 0.65).met)
        self.assertEqual(str(finding(BULK, 0.5)), "0.5 x: met")
        self.assertEqual(str(finding(BULK, 1.2, 1.3, 1.4)), "1.3 x (1.2..1.4): missed by 2 x")

    def test_at_least(self) -> None:
        self.assertTrue(finding(ONE_CPU, 1.3).met)
        self.assertEqual(str(finding(ONE_CPU, 0.6)), "0.6 x: missed by 2 x")

    def test_a_limit_between_the_rounds_is_reported(self) -> None:
        self.assertIn("met, within the noise", str(finding(BULK, 0.5, 0.6, 0.9)))

    def test_the_shipped_defaults_have_limits_of_their_own(self) -> None:
        self.assertTrue(finding(UPSTREAM, 0.1, variant="as shipped").met)
        self.assertFalse(finding(UPSTREAM, 0.1, variant="shield off").met)
        self.assertTrue(finding(UPSTREAM, 0.1, variant="beside").met)

    def test_not_measured_is_not_met(self) -> None:
        self.assertFalse(finding(BULK).met)
        self.assertEqual(str(finding(BULK)), "not measured")
        self.assertFalse(any(found(values={}, goal=goal, variant="as shipped").met for goal in GOALS))

    def test_no_growth(self) -> None:
        goal = next(goal for goal in GOALS if goal.row == "slow")
        self.assertEqual(str(finding(goal, 0.0)), "0: met")


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        each: list[Values | None] = [
            {"cpu_s_per_gb": 0.6, "mb_per_s": 1000.0},
            {"cpu_s_per_gb": 0.7, "mb_per_s": 900.0},
        ]
        self.values = {"bulk": {"haproxy": each, "ours": each, "ours (XVP)": each}}
        self.record: dict[str, Any] = {
            "machine": {"cpu": "a", "cpus": 2, "kernel": "6", "python": "3", "cpu_read_from": "cgroup"},
            "plan": {"rounds": 2},
            "load_average_each_round": [0.5, 2.0],
            "values": self.values,
            "clouds": {"1": {"link": CLOUD}, "1000": {"link": CLOUD, "check": CLOUD}},
            "sessions": {"list_s": 0.455, "page_ms": 48.6},
            "filters": {"no policy": dict.fromkeys(("message_us", "packed_us", "raw_s", "jpeg_s"), 0.1)},
            "pages": {"slow": {page: [2.0, 1.0] for page in pages.PAGES}},
            "tiles": {step: {"200": [2.0, 4.0], "2000": [6.0, 6.0]} for step in long_list.STEPS},
            "instructions": {"ours": {"set-up": 3_456_789.0, "message": 6_184.4}},
            "not_as_shipped": ["one"],
            "versions": {"haproxy": "2.6"},
            "unmeasured": {"ours, TLS": "TLS front not there yet"},
            "wrong": {},
        }

    def test_every_goal_stands_in_the_table(self) -> None:
        self.assertEqual(len(goals_table({}).splitlines()), 2 + len(GOALS))
        self.assertIn(
            "| bulk pictures, CPU s/GB | at most 0.65 x haproxy | 1 x (1..1): missed by 1.54 x |",
            goals_table(self.values),
        )

    def test_all_goals_name_rows_that_are_measured(self) -> None:
        self.assertLessEqual({goal.row for goal in GOALS}, set(ROWS))
        names = set(subject_names())
        for goal in GOALS:
            self.assertLessEqual({goal.subject("as shipped"), goal.subject("shield off")}, names)
            self.assertIn(goal.against, names | {None})

    def test_another_checkout_has_a_column_where_there_is_one(self) -> None:
        self.assertNotIn("beside", goals_table(self.values))
        self.values["bulk"]["beside"] = [{"cpu_s_per_gb": 0.3, "mb_per_s": 2000.0}] * 2
        self.assertIn("| 0.464 x (0.429..0.5): met |", goals_table(self.values))

    def test_values(self) -> None:
        self.assertIn("| ours (XVP) | 0.65 ±8% | 950 ±5% |", values_table(self.values, subject_names()))

    def test_sections_of_the_report(self) -> None:
        self.assertIn("* ours, TLS: TLS front not there yet", text(self.record, subject_names()))
        clouds = "### link\n| hosts | bus calls | store commands | CPU ms | ms |\n|---|---|---|---|---|\n| 1 | 3 |"
        self.assertIn(clouds, text(self.record, subject_names()))
        self.assertIn("\n\n### check\n", text(self.record, subject_names()))
        self.assertIn("| 1,000 | 3 | 0.5 | 4.25 | 1,234 |", text(self.record, subject_names()))
        self.assertIn("| one page of 1,000, the slowest, CPU ms | 48.6 |", text(self.record, subject_names()))
        self.assertIn("| one letter of a search | 3 | 6 | 2.2 x (1.5..3.0) |", text(self.record, subject_names()))
        self.assertIn("| ours | 3,456.8 | 6.2 |", text(self.record, subject_names()))
        self.assertNotIn("WRONG", text(self.record, subject_names()))

    def test_what_is_wrong_comes_first(self) -> None:
        self.record["wrong"] = {"ours": "not what is due at byte 7"}
        self.assertTrue(text(self.record, subject_names()).startswith("## WRONG"))

    def test_the_picture_is_xml_with_all_who_were_measured(self) -> None:
        more: dict[str, Any] = self.values | {"slow": {"ours": [{"growth_mib": 0.0}]}}
        drawn = ElementTree.fromstring(draw(more, subject_names(), "on <this> machine & that"))
        words = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("haproxy", "ours (XVP)", "bulk pictures: CPU s/GB", "on <this> machine & that", "0.65"):
            self.assertIn(word, words)

    def test_a_picture_of_nothing(self) -> None:
        ElementTree.fromstring(draw({}, subject_names(), ""))


class OptionTests(SynchronousTestCase):
    def test_names(self) -> None:
        self.assertEqual(_list_of(["a", "b"])("a+b"), ["a", "b"])
        with self.assertRaises(argparse.ArgumentTypeError):
            _list_of(["a", "b"])("a+c")

    def test_quick_says_what_it_leaves_out(self) -> None:
        self.assertEqual(FULL.leaves_out, {})
        self.assertTrue(QUICK.leaves_out)
        self.assertIsNotNone(QUICK.budget)
