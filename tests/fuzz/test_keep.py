"""An input that fuzzing found is added to the corpus only if it reaches more code."""

from hashlib import sha1

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.keep import arcs, worth_keeping
from tests.fuzz.table import CORPUS, targets


class KeepTests(SynchronousTestCase):
    def test_arcs(self) -> None:
        """Only jumps in our code are returned, and the same ones for the same input."""
        run = targets("rfb")["rfb-offer"].run
        good, bad = b"RFB 003.008\n\1\1", b"RFB 004.000\n"
        self.assertEqual(arcs(run, good), arcs(run, good))
        self.assertTrue(arcs(run, bad) - arcs(run, good))
        self.assertTrue(all("novnc_twisted" in code.co_filename for code, _, _ in arcs(run, good)))
        self.assertFalse(arcs(len, b"x"))  # type: ignore[arg-type]

    def test_the_smallest_inputs_are_kept(self) -> None:
        run = targets("rfb")["rfb-offer"].run
        good, other, bad = b"RFB 003.008\n\1\1", b"RFB 003.008\n\1\0", b"RFB 004.000\n"
        self.assertEqual(worth_keeping(run, [], [good + b"more", other, bad]), [bad, other])
        self.assertEqual(worth_keeping(run, [good], [other, bad]), [bad])
        self.assertEqual(worth_keeping(run, [good, bad], [other, bad]), [])

    def test_names(self) -> None:
        """The name of an input that fuzzing added is the SHA-1 of its content."""
        added = [path for path in CORPUS.glob("*/*") if len(path.name) == 40]
        self.assertGreater(len(added), 100)
        for path in added:
            self.assertEqual(path.name, sha1(path.read_bytes()).hexdigest())
