"""CONTRIBUTING.md names files, tests and targets of make that exist."""

import re
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
WORDS = set(re.findall(r"`([^`\n]+)`", PAGE))


class ContributingTests(SynchronousTestCase):
    def test_files(self) -> None:
        paths = {word for word in WORDS if re.fullmatch(r"[\w./-]+", word) and ("/" in word or word.endswith(".py"))}
        self.assertGreater(len(paths), 40)
        missing = [path for path in paths if not (ROOT / path).exists() and "PACKAGE" not in path]
        bare = {"rpcapi.py", "console_types.py", "setup.py"}  # files that several folders have
        built = {"docs/_build/html", "_trial_temp/test.log"}
        self.assertEqual(sorted(set(missing) - bare - built), [])

    def test_tests(self) -> None:
        names = re.findall(r"\btests(?:\.\w+)+", PAGE)
        self.assertGreater(len(names), 10)
        for name in names:
            namedAny(name)

    def test_methods_of_tests(self) -> None:
        sources = "".join(path.read_text() for path in (ROOT / "tests").glob("**/test_*.py"))
        for word in WORDS:
            if re.fullmatch(r"test_\w+", word):
                self.assertIn(f"def {word}(", sources)

    def test_targets_of_make(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        for target in set(re.findall(r"\bmake ([a-z][a-z-]*)\b", PAGE)) - {"or"}:
            self.assertRegex(makefile, rf"(?m)^{target}:")
