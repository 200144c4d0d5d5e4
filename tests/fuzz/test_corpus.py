"""Every target on every file of its corpus: what once was found stays found, and the harness fits its parsers."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.seeds import parts
from tests.fuzz.stretch import in_time, stretched
from tests.fuzz.table import CORPUS, MODULES, corpus, module_of, targets
from tests.fuzz.tools import Broken, Target, broken

ALL = targets()
LARGEST = 400 * 1024
"""Bytes that the corpus may have in all: it travels with each checkout."""


class ReplayTests(SynchronousTestCase):
    """One test for each target; made below."""


def _replay(target: Target) -> Callable[[ReplayTests], None]:
    def test(self: ReplayTests) -> None:
        inputs = corpus(target.name)
        self.assertTrue(inputs, "no corpus")
        for data in (b"", b"\0", *inputs, *(data[: len(data) // 2] for data in inputs)):
            target.run(data)

    return test


for _name, _target in ALL.items():
    setattr(ReplayTests, f"test_{_name.replace('-', '_')}", _replay(_target))


class TableTests(SynchronousTestCase):
    def test_corpus_and_targets(self) -> None:
        """A folder for each target, small files, and what seeds.py makes is there as it makes it."""
        self.assertEqual({path.name for path in CORPUS.iterdir()}, set(ALL))
        files = list(CORPUS.glob("*/*"))
        self.assertLess(sum(path.stat().st_size for path in files), LARGEST)
        for path in files:
            self.assertLessEqual(path.stat().st_size, 4096, path)
        for name, made in parts():
            for title, data in made.items():
                if title != "answer":  # sealed anew each time
                    self.assertEqual(
                        (CORPUS / name / title).read_bytes(), data, f"{name}/{title}: run tests.fuzz.seeds"
                    )

    def test_modules(self) -> None:
        """Each target is found by its module, as the driver calls it."""
        for name, target in ALL.items():
            self.assertIn(module_of(target), MODULES)
            self.assertIs(targets(module_of(target))[name], target)
        self.assertRaises(ValueError, targets, "shield", "shield")

    def test_long_inputs(self) -> None:
        """Of each target one stretched input; the fuzzing itself takes all of them."""
        for name, target in ALL.items():
            data = max(corpus(name), key=len)
            in_time(target.run, next(iter(stretched(data))))

    def test_what_takes_too_long(self) -> None:
        """Is a finding, by our own CPU time."""

        def square(data: bytes) -> None:
            while True:
                sum(data)

        self.patch(__import__("tests.fuzz.stretch", fromlist=["SECONDS"]), "SECONDS", 0.05)
        self.assertRaises(Broken, in_time, square, b"x")
        in_time(lambda data: None, b"x")

    def test_findings_are_told_whole(self) -> None:
        error = self.assertRaises(Broken, broken, "what", b"x" * 1000, 1)
        self.assertLess(len(str(error)), 400)
