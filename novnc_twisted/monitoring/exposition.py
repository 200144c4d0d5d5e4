"""Writes samples in Prometheus' text format."""

import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from novnc_twisted._version import __version__
from novnc_twisted.monitoring.definitions import DEFINITIONS
from novnc_twisted.monitoring.status import Samples, metric_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus' text format."""


class _Collector:
    """Yields all metrics, with the given samples and the sample of ``novnc_build_info``."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> "Iterator[Metric]":
        """See prometheus_client.registry.Collector."""
        from prometheus_client.core import Metric

        families: dict[str, Metric] = {}
        for definition in DEFINITIONS.values():
            kind = "gauge" if definition.kind == "info" else definition.kind
            # prometheus_client expects the name of a counter without "_total", and appends "_total" in the output.
            families[definition.name] = Metric(definition.name.removesuffix("_total"), definition.help, kind)
        for (name, labels), value in self._samples.items():
            metric = metric_of(name)
            if metric is not None:
                families[metric.name].add_sample(name, dict(labels), value)
        build = {"version": __version__, "python": platform.python_version()}
        families["novnc_build_info"].add_sample("novnc_build_info", build, 1.0)
        yield from families.values()


def exposition(samples: Samples) -> bytes:
    """Return all metrics in Prometheus' text format."""
    # Imported here, so that a process without monitoring does not load the library.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(samples))
    text: bytes = generate_latest(registry)
    return text
