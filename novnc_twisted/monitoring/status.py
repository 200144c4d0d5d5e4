"""The status of a process or a command: its state, the samples of its metrics, and the parts that it lacks.

A worker reports its status to its supervisor.  The supervisor makes the status of the whole command from the reports.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

from novnc_twisted.access.display import clean
from novnc_twisted.monitoring.definitions import DEFINITIONS, OTHER, PARTS, Definition

Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels, sorted by name."""

Samples: TypeAlias = dict[Key, float]
"""Samples of metrics: key -> value."""

_SUFFIXES: Final = {"counter": ("",), "gauge": ("",), "info": ("",), "histogram": ("_bucket", "_sum", "_count")}

_SAMPLES: Final = {
    each.name + suffix: each for each in DEFINITIONS.values() for suffix in _SUFFIXES[each.kind] if each.kind != "info"
}
"""Name of a sample -> the metric to which it belongs.  Metrics of kind ``info`` are left out."""


def metric_of(sample: str) -> Definition | None:
    """Return the metric to which a sample of this name belongs.

    Return None if no metric has such a sample, or if the metric is of kind ``info``.  Reports contain no samples of
    ``info`` metrics; :func:`.exposition.exposition` adds these samples.
    """
    return _SAMPLES.get(sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of a process, or of all processes of a command together.

    :ivar state: ``starting``, ``running`` or ``stopping``.
    :ivar missing: part that is needed but cannot be used -> the reason.
    :ivar samples: the samples of the metrics.
    """

    state: str = "starting"
    missing: Mapping[str, str] = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether new sessions should be sent to this process or command."""
        return self.state == "running" and not self.missing

    def to_json(self) -> dict[str, Any]:
        """Return the status as a JSON object, the report that :meth:`from_json` reads."""
        return {
            "state": self.state,
            "missing": dict(self.missing),
            "samples": [[name, dict(labels), value] for (name, labels), value in self.samples.items()],
        }

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Self:
        """Read the report of a worker.

        Unknown parts are left out.  A sample is left out if its metric, one of its labels or the value of a label is
        unknown, or if its own value is not finite.

        :raises ValueError: the report is malformed.
        """
        try:
            samples: Samples = {}
            for name, labels, value in report["samples"]:
                key = _key(name, labels)
                if key is not None and math.isfinite(value):
                    samples[key] = float(value)
            missing = {part: clean(str(why)) for part, why in report["missing"].items() if part in PARTS}
            return cls(state=str(report["state"]), missing=missing, samples=samples)
        # OverflowError: an integer is too large for a float.
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"a worker's report is malformed: {type(error).__name__}") from None


def _key(name: str, labels: Mapping[str, str]) -> Key | None:
    """Return the key of a sample; None if no metric has a sample with this name and these labels.

    The buckets of a histogram, and no other samples, have the label ``le``, which may have any value.
    """
    metric = metric_of(name)
    if metric is None:
        return None
    is_bucket = metric.kind == "histogram" and name == f"{metric.name}_bucket"
    if set(labels) != {*metric.labels, *(("le",) if is_bucket else ())}:
        return None
    for label, value in labels.items():
        if label != "le" and value != OTHER and value not in metric.labels[label]:
            return None
    return name, tuple(sorted(labels.items()))
