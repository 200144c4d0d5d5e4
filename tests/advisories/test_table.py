"""The tables of docs/security.md: each advisory occurs once, with an existing test or a reason."""

import re
import unittest
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from twisted.python.reflect import namedAny
from twisted.trial.unittest import TestCase

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
HEADER = ["Advisory", "Attack", "Here", "Held by"]
REASON = "Cannot apply: "

KNOWN = [
    "CVE-2006-2369",
    "CVE-2008-2382",
    "CVE-2009-3616",
    "CVE-2011-0011",
    "CVE-2011-0411",
    "CVE-2011-1773",
    "CVE-2013-0335",
    "CVE-2013-2756",
    "CVE-2013-2757",
    "CVE-2013-7436",
    "CVE-2014-6052",
    "CVE-2014-6053",
    "CVE-2014-7815",
    "CVE-2014-7823",
    "CVE-2014-8240",
    "CVE-2014-8241",
    "CVE-2014-8750",
    "CVE-2015-0259",
    "CVE-2015-1779",
    "CVE-2015-3252",
    "CVE-2015-5239",
    "CVE-2015-8504",
    "CVE-2015-9543",
    "CVE-2016-10542",
    "CVE-2016-5008",
    "CVE-2017-15124",
    "CVE-2017-15268",
    "CVE-2017-18635",
    "CVE-2017-18922",
    "CVE-2018-1000518",
    "CVE-2018-1340",
    "CVE-2018-20748",
    "CVE-2019-15690",
    "CVE-2019-15691",
    "CVE-2019-15692",
    "CVE-2019-15693",
    "CVE-2019-15694",
    "CVE-2019-15695",
    "CVE-2019-20382",
    "CVE-2019-20788",
    "CVE-2020-10108",
    "CVE-2020-10109",
    "CVE-2020-14405",
    "CVE-2020-26117",
    "CVE-2020-27813",
    "CVE-2020-35678",
    "CVE-2020-9497",
    "CVE-2020-9498",
    "CVE-2021-3654",
    "CVE-2021-41767",
    "CVE-2022-21716",
    "CVE-2022-24801",
    "CVE-2022-31358",
    "CVE-2022-3165",
    "CVE-2022-35507",
    "CVE-2022-35508",
    "CVE-2022-36436",
    "CVE-2022-39348",
    "CVE-2023-28858",
    "CVE-2023-28859",
    "CVE-2023-30575",
    "CVE-2023-3255",
    "CVE-2023-3354",
    "CVE-2023-43826",
    "CVE-2023-46137",
    "CVE-2023-54391",
    "CVE-2023-6683",
    "CVE-2024-0822",
    "CVE-2024-26135",
    "CVE-2024-35164",
    "CVE-2024-41671",
    "CVE-2024-41810",
    "CVE-2025-11234",
    "CVE-2025-64432",
    "CVE-2026-112816",
    "CVE-2026-115373",
    "CVE-2026-13201",
    "CVE-2026-34352",
    "CVE-2026-42304",
    "CVE-2026-71566",
    "CVE-2026-7374",
]
"""All advisories that we know.  Add a new one here first, then to a table."""


class Row(NamedTuple):
    """One line of a table."""

    advisory: str
    attack: str
    here: str
    held_by: str


def rows_of(page: str) -> list[Row]:
    """The rows of each table of advisories on a page."""
    found, inside = [], False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells == HEADER:
            inside = True
        elif inside and set(line) - set("| -:"):
            found.append(Row(*cells))
    return found


def complaints(row: Row) -> list[str]:
    """The errors of a row."""
    names = re.findall(r"`(tests\.[\w.]+)`", row.held_by)
    if not names:
        reason = row.held_by.removeprefix(REASON)
        return [] if reason != row.held_by and len(reason) > 10 else ["neither a test nor a reason"]
    found = [] if re.sub(r"`tests\.[\w.]+`|, ", "", row.held_by) == "" else ["something besides the tests"]
    found += [f"{name} twice" for name, count in Counter(names).items() if count > 1]
    for name in names:
        where, _, method = name.rpartition(".")
        if not method.startswith("test_"):
            found.append(f"{name} is not a single test")
            continue
        try:
            case = namedAny(where)
        except (ImportError, AttributeError) as error:
            found.append(f"{name}: {error}")
            continue
        # trial runs only methods of a TestCase.
        if not (isinstance(case, type) and issubclass(case, unittest.TestCase) and callable(getattr(case, method, 0))):
            found.append(f"{name} is not a test")
    return found


class TableTests(TestCase):
    def setUp(self) -> None:
        self.rows = rows_of(PAGE.read_text())

    def test_each_row_has_a_test_or_a_reason(self) -> None:
        self.assertGreater(len(self.rows), 50)
        self.assertEqual([(row.advisory, what) for row in self.rows for what in complaints(row)], [])
        for row in self.rows:
            self.assertTrue(row.attack and row.here, row.advisory)

    def test_each_advisory_stands_there_once(self) -> None:
        listed = Counter(id_ for row in self.rows for id_ in re.findall(r"CVE-\d{4}-\d{4,}", row.advisory))
        self.assertEqual(sorted(listed), sorted(KNOWN))
        self.assertEqual([id_ for id_, count in listed.items() if count > 1], [])
        self.assertEqual(len({row.advisory for row in self.rows}), len(self.rows))

    def test_ids_in_tests_and_code_are_known(self) -> None:
        root = PAGE.parents[1]
        for folder in ("novnc_twisted", "tests"):
            for path in root.joinpath(folder).rglob("*.py"):
                if "node_modules" not in path.parts:
                    for id_ in re.findall(r"CVE-\d{4}-\d{4,}", path.read_text()):
                        self.assertIn(id_, KNOWN, path)

    def test_the_check_can_fail(self) -> None:
        good = "`tests.advisories.test_table.TableTests.test_the_check_can_fail`"
        for held_by, right in (
            (good, True),
            (f"{good}, {good}", False),
            (f"{good}, {good.replace('the_check_can_fail', 'ids_in_tests_and_code_are_known')}", True),
            ("Cannot apply: no such thing is used here.", True),
            ("", False),
            ("Cannot apply: ", False),
            ("a test", False),
            (f"{good} and more", False),
            ("`tests.advisories.test_table.TableTests.test_nothing`", False),
            ("`tests.advisories.test_table.TableTests`", False),
            ("`tests.advisories.test_table.NoTests.test_the_check_can_fail`", False),
            ("`tests.advisories.test_nothing.TableTests.test_x`", False),
            ("`tests.advisories.test_table.Row.test_x`", False),
            ("`tests.session.harness.FrontCase.listen`", False),
        ):
            self.assertEqual(complaints(Row("a", "b", "c", held_by)) == [], right, held_by)
        self.assertEqual(
            rows_of("| Advisory | Attack | Here | Held by |\n|-|-|-|-|\n| a | b | c | d |\n\n| e | f |"),
            [Row("a", "b", "c", "d")],
        )
