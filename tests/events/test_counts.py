"""Counts in log lines: no line says "1 sessions"."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import novnc_twisted

LEVELS = {"debug", "info", "warn", "error", "critical"}
COUNTED = re.compile(r"\{(?:count|lost|sessions|tokens|deleted)\} (?:more |ended )?[a-z]+s\b(?! (?:a|per) )")
ALWAYS_SEVERAL = ("{command} is ready (novnc_twisted {version}, {count} workers)",)


def formats() -> Iterator[tuple[Path, str]]:
    """Return the format of each log call."""
    for path in Path(novnc_twisted.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                yield path, node.args[0].value


class CountTests(SynchronousTestCase):
    def test_log_lines(self) -> None:
        """Write ``live sessions: {sessions}``, which is right for every number."""
        found = list(formats())
        self.assertGreater(len(found), 50)
        wrong = [(path.name, text) for path, text in found if COUNTED.search(text) and text not in ALWAYS_SEVERAL]
        self.assertEqual(wrong, [])
