"""``scripts/run_again.py``: which tests run again after a failure, and when they count as passed."""

from twisted.trial.unittest import TestCase

from tests.support.scripts import load

OUTPUT = """\
tests.web.test_start
  Refused
    test_a_start_that_is_refused ...                                    [ERROR]

===============================================================================
[FAIL]
Traceback (most recent call last):
  File "tests/web/test_start.py", line 125, in test_a_start_that_is_refused
twisted.trial.unittest.FailTest: True != False

tests.web.test_start.Refused.test_a_start_that_is_refused
===============================================================================
[ERROR]
Traceback (most recent call last):
twisted.internet.error.ReactorNotRestartable:

tests.web.test_page.Page.test_layout
tests.web.test_page.Page.test_tools
-------------------------------------------------------------------------------
Ran 40 tests in 3.000s

FAILED (failures=1, errors=2, successes=37)
"""
NAMES = [
    "tests.web.test_page.Page.test_layout",
    "tests.web.test_page.Page.test_tools",
    "tests.web.test_start.Refused.test_a_start_that_is_refused",
]


run_again = load("run_again")


class NamesTests(TestCase):
    def test_all_failures(self) -> None:
        self.assertEqual(run_again.failed_tests(OUTPUT, 3), NAMES)

    def test_one_that_has_no_name(self) -> None:
        """If a failure has no test name, such as a module that cannot be imported, nothing runs again."""
        self.assertEqual(run_again.failed_tests(OUTPUT, 4), [])

    def test_no_failures(self) -> None:
        self.assertEqual(run_again.failed_tests("tests.web.test_page.Page.test_layout\n\nPASSED (successes=1)", 0), [])


class AgainTests(TestCase):
    def setUp(self) -> None:
        self.runs: list[list[str]] = []
        self.results: dict[str, list[bool]] = {}

    def passes(self, command: list[str]) -> bool:
        self.runs.append(command)
        return self.results[command[-1]].pop(0)

    def unstable(self, names: list[str]) -> set[str]:
        failures = [run_again.Failures("web: 1 errors", len(names), names, ["trial"])]
        result: set[str] = run_again.unstable(failures, self.passes)
        return result

    def test_it_must_pass_each_time(self) -> None:
        self.results = {NAMES[0]: [True, True, True], NAMES[1]: [True, True, False]}
        self.assertEqual(self.unstable(NAMES[:2]), {NAMES[0]})
        self.assertEqual(self.runs, [["trial", NAMES[0]]] * 3 + [["trial", NAMES[1]]] * 3)

    def test_a_fault_that_stays(self) -> None:
        self.results = {NAMES[0]: [False]}
        self.assertEqual(self.unstable(NAMES[:1]), set())

    def test_failures_without_names(self) -> None:
        self.assertEqual(self.unstable([]), set())
