"""The table of ``make bench-nova``."""

from twisted.trial.unittest import SynchronousTestCase

from tests.nova.bench import table


class TableTests(SynchronousTestCase):
    def test_ratios(self) -> None:
        """The ratio is that of the second proxy to the first."""
        lines = table({"ours": {"ms": 200.0, "MiB": 50.0}, "nova's": {"ms": 500.0, "MiB": 100.0}})
        self.assertEqual(lines[0], "| | ours | nova's | ratio |")
        self.assertEqual(lines[2:], ["| ms | 200.0 | 500.0 | 2.50 |", "| MiB | 50.0 | 100.0 | 2.00 |"])
