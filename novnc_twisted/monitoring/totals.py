"""Adds up the metrics of several processes."""

from collections.abc import Mapping

from novnc_twisted.monitoring.definitions import ANSWERING, SILENT
from novnc_twisted.monitoring.status import Key, Samples, metric_of


class Totals:
    """Adds up the metrics of a command's processes: its workers, or the old and new processes after a take-over.

    A counter must never decrease, because Prometheus would take the decrease for a restart and count the whole value
    again.  Therefore the sums include the last known counters of processes that do not answer, or that have ended.
    Gauges are sums over the processes that have answered.
    """

    def __init__(self) -> None:
        self._last: dict[int, Samples] = {}
        self._ended: Samples = {}

    def ended(self, number: int) -> None:
        """Keep the counters of a process that has ended.

        :param number: the number that identified the process in :meth:`add`.  A new process with the same number begins
            with 0.
        """
        for key, value in self._last.pop(number, {}).items():
            self._ended[key] = self._ended.get(key, 0.0) + value

    def add(self, answers: Mapping[int, Samples | None]) -> Samples:
        """Return the sums, and remember the counters of each process.

        :param answers: the samples of each process, by a number that identifies it; None for a process that did not
            answer in time.
        """
        total: Samples = dict(self._ended)
        for number, samples in answers.items():
            if samples is not None:
                self._last[number] = {key: value for key, value in samples.items() if _never_decreases(key)}
            for key, value in (self._last.get(number, {}) if samples is None else samples).items():
                total[key] = total.get(key, 0.0) + value
        return total


def worker_samples(answering: int, silent: int) -> Samples:
    """Return the samples of ``novnc_workers``."""
    return {
        ("novnc_workers", (("state", ANSWERING),)): float(answering),
        ("novnc_workers", (("state", SILENT),)): float(silent),
    }


def _never_decreases(key: Key) -> bool:
    metric = metric_of(key[0])
    return metric is not None and metric.kind in ("counter", "histogram")
