"""The sums of the metrics of several processes."""

from collections.abc import Mapping

from novnc_twisted.monitoring.definitions import ANSWERING, SILENT
from novnc_twisted.monitoring.status import Key, Samples, metric_of


class Totals:
    """Adds up what the workers of a command report.

    A counter must never fall, because Prometheus takes that for a restart and counts the whole value again.  The last
    values of a worker's counters are therefore kept when it does not answer and after it has ended.  Gauges are the
    sums of those workers that have answered.
    """

    def __init__(self) -> None:
        self._last: dict[int, Samples] = {}
        self._ended: Samples = {}

    def ended(self, number: int) -> None:
        """Note that a worker has ended: its successor begins with 0."""
        for key, value in self._last.pop(number, {}).items():
            self._ended[key] = self._ended.get(key, 0.0) + value

    def add(self, answers: Mapping[int, Samples | None]) -> Samples:
        """Return the sums.

        :param answers: the samples of each worker, by its number; None for one that did not answer in time.
        """
        total: Samples = dict(self._ended)
        for number, samples in answers.items():
            if samples is not None:
                self._last[number] = {key: value for key, value in samples.items() if _only_rises(key)}
            for key, value in (self._last.get(number, {}) if samples is None else samples).items():
                total[key] = total.get(key, 0.0) + value
        silent = sum(samples is None for samples in answers.values())
        return total | worker_samples(len(answers) - silent, silent)


def worker_samples(answering: int, silent: int) -> Samples:
    """Return the samples of ``novnc_workers``."""
    return {
        ("novnc_workers", (("state", ANSWERING),)): float(answering),
        ("novnc_workers", (("state", SILENT),)): float(silent),
    }


def _only_rises(key: Key) -> bool:
    metric = metric_of(key[0])
    return metric is not None and metric.kind in ("counter", "histogram")
