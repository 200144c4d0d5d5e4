#!/usr/bin/env python3
"""Change one token or statement of a module, run its tests, and print the changes that no test notices.

Each change makes a *mutant* of the module.  For example, 20 mutants of one package and 5 of one module::

    .venv/bin/python scripts/mutate.py novnc_twisted/rfb --tests tests.rfb --count 20
    .venv/bin/python scripts/mutate.py novnc_twisted/errors.py --tests tests.test_errors --count 5

It works in a temporary copy of the repository's tracked files, so that the checkout stays untouched.  A mutant that
survives means that a test is missing, or that the change makes no difference; look at each.  The exit code is 1 if a
mutant survives.
"""

import argparse
import ast
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "+=": "-=", "-=": "+=",
    "and": "or", "or": "and", "not": "", "True": "False", "False": "True", "break": "continue", "continue": "break",
    "min": "max", "max": "min", "any": "all", "all": "any",
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: the characters from ``start`` to ``end`` of a file become ``new``."""

    path: Path
    start: int
    end: int
    new: str

    def shown(self, text: str) -> str:
        """The place and the change in the file's text, in one line."""
        old = " ".join(text[self.start : self.end].split())
        line = text.count("\n", 0, self.start) + 1
        source = text.splitlines()[line - 1].strip()
        return f"{self.path}:{line}: {old} -> {self.new or 'nothing'}    in: {source}"


def token_mutants(path: Path, text: str, starts: list[int]) -> Iterator[Mutant]:
    """Swapped operators and constants, and numbers that are one higher."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.string in SWAPS and token.type in (tokenize.OP, tokenize.NAME):
            yield Mutant(path, start, end, SWAPS[token.string])
        elif token.type == tokenize.NUMBER:
            yield Mutant(path, start, end, f"({token.string} + 1)")


def statement_mutants(path: Path, text: str, starts: list[int]) -> Iterator[Mutant]:
    """Calls for their effect and raised errors, each replaced by nothing."""
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Call | ast.Await) or isinstance(node, ast.Raise):
            assert isinstance(node, ast.stmt) and node.end_lineno is not None and node.end_col_offset is not None
            lines = text.splitlines()
            start, end = (
                starts[line - 1] + len(lines[line - 1].encode()[:column].decode())  # ast counts bytes
                for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
            )
            yield Mutant(path, start, end, "pass")


def mutants_of(path: Path, text: str) -> list[Mutant]:
    """All mutants of a file that can be compiled."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for mutant in (*token_mutants(path, text, starts), *statement_mutants(path, text, starts)):
        try:
            compile(text[: mutant.start] + mutant.new + text[mutant.end :], str(path), "exec")
        except SyntaxError:
            continue
        found.append(mutant)
    return found


def passes(folder: Path, tests: list[str], limit: float) -> bool:
    """Whether the tests pass in this folder.  Tests that take longer than ``limit`` seconds are killed, and fail."""
    command = [sys.executable, "-m", "twisted.trial", "--exitfirst", *tests]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # stale byte code would hide a change
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False
    return process.returncode == 0 and b"\nPASSED" in output


def main() -> int:
    """Try a sample of the mutants, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="+", help="modules and packages to change")
    parser.add_argument("--tests", action="append", required=True, help="what trial runs (may be repeated)")
    parser.add_argument("--count", type=int, default=20, help="mutants to try (20)")
    parser.add_argument("--seed", type=int, default=1, help="selects the mutants (1)")
    options = parser.parse_args()
    sources = [Path(name).resolve().relative_to(ROOT) for name in options.source]
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for line in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
            (folder / line).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / line, folder / line)
        found = [path for source in sources for path in (folder / source, *sorted((folder / source).rglob("*.py")))]
        texts = {path.relative_to(folder): path.read_text() for path in found if path.suffix == ".py"}
        mutants = [mutant for path, text in texts.items() for mutant in mutants_of(path, text)]
        sample = random.Random(options.seed).sample(mutants, min(options.count, len(mutants)))
        began = time.monotonic()
        if not passes(folder, options.tests, 3600):
            sys.exit("the tests fail without any change")
        limit = 30 + 5 * (time.monotonic() - began)
        for mutant in sample:
            text = texts[mutant.path]
            (folder / mutant.path).write_text(text[: mutant.start] + mutant.new + text[mutant.end :])
            if passes(folder, options.tests, limit):
                survivors += 1
                print("survived:", mutant.shown(text), flush=True)
            (folder / mutant.path).write_text(text)
    print(f"{len(sample)} of {len(mutants)} mutants, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
