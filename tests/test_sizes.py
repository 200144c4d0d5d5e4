"""The maximum size of our Python modules and functions."""

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
FOLDERS = ("benchmarks", "contrib", "demo", "docs", "novnc_twisted", "scripts", "tests", "twisted")
LONGEST = 350
"""Maximum lines of a module."""

LONGEST_BODY = 50
"""Maximum lines of a function, without its signature and docstring."""


class SizeTests(SynchronousTestCase):
    def test_modules(self) -> None:
        """Split a longer module by subject; most have fewer than 200 lines."""
        paths = [
            path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts
        ]
        self.assertGreater(len(paths), 500)
        lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
        self.assertEqual({name: length for name, length in lengths.items() if length > LONGEST}, {})

    def test_functions(self) -> None:
        """Split a longer function: it does two things.  Only the program is checked."""
        lengths: dict[str, int] = {}
        for path in (ROOT / "novnc_twisted").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if "node_modules" not in path.parts and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lengths[f"{path.relative_to(ROOT)}: {node.name}, line {node.lineno}"] = _body(node)
        self.assertGreater(len(lengths), 2000)
        self.assertEqual({name: length for name, length in lengths.items() if length > LONGEST_BODY}, {})


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of lines from a function's first statement on."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0
