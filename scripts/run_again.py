"""Runs failed tests again, to distinguish faults of the program from failures by chance.

Tests with browsers, real servers and processes depend on the load of the machine.  One failure among thousands of such
tests says little about the program.  Therefore a failed test runs ``REPEATS`` times more, by itself, and counts as
passed only if it passes each time.  A fault that appears in every second run is still found in seven of eight cases.
The report names each test that passed in this way, because the test needs repair.

The unit tests run again, too, because many of them use real connections on loopback or threads.  ``make quick`` repeats
nothing, because somebody waits for its result.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 3
"""How often a failed test runs again."""

_NAME = re.compile(r"^tests(?:\.\w+)+\.test_\w+$", re.M)


@dataclass
class Failures:
    """The failures of one run of trial.

    :ivar summary: what trial counted, for the report.
    :ivar count: the number of failures.
    :ivar names: the failed tests; empty if trial's output does not name all of them.
    :ivar command: runs one of them, with its name as the last argument.
    """

    summary: str
    count: int
    names: list[str]
    command: list[str]


def failed_tests(output: str, count: int) -> list[str]:
    """Return the names in the list of failures that ends trial's output, or none if their number is not ``count``."""
    _, _, failures = output.partition("\n==========")
    names = sorted(set(_NAME.findall(failures)))
    return names if len(names) == count else []


def unstable(failures: list[Failures], passes: Callable[[list[str]], bool]) -> set[str]:
    """Run the failed tests again, and return those that passed each time.

    :param passes: runs a command, and returns whether it succeeded.
    """
    return {name for one in failures for name in one.names if all(passes([*one.command, name]) for _ in range(REPEATS))}
