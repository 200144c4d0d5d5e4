"""The alert rules and the dashboard in ``contrib`` use existing metrics; promtool accepts rules and metrics."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from novnc_twisted.events.records import SessionOpened
from novnc_twisted.events.refused import RequestRefused
from novnc_twisted.monitoring.definitions import DEFINITIONS
from novnc_twisted.monitoring.exposition import exposition
from novnc_twisted.monitoring.monitor import Monitor
from novnc_twisted.monitoring.status import metric_of

ROOT = Path(__file__).parents[2]
RULES = ROOT / "contrib" / "prometheus" / "novnc_twisted.rules.yml"
DASHBOARD = ROOT / "contrib" / "grafana" / "novnc_twisted.json"

OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of histogram buckets."""


def used_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each metric in PromQL, and its label matchers."""
    for found in re.finditer(r"\b(novnc_[a-z_]+)(?:\{([^}]*)\})?", text):
        yield found[1], found[2] or ""


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """The PromQL expressions of a dashboard."""
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]


class NameTests(TestCase):
    def check(self, text: str) -> set[str]:
        """Assert that all metrics, labels and label values exist; return the names of the metrics."""
        names = set()
        for sample, braces in used_in(text):
            metric = metric_of(sample) or DEFINITIONS.get(sample)
            self.assertIsNotNone(metric, f"there is no metric {sample}")
            assert metric is not None
            names.add(metric.name)
            for label, operator, values in re.findall(r'(\w+)\s*(=~|!=|=|!~)\s*"([^"]*)"', braces):
                if label in OF_PROMETHEUS:
                    continue
                self.assertIn(label, metric.labels, sample)
                for value in values.split("|") if operator in ("=~", "!~") else [values]:
                    self.assertIn(value, metric.labels[label], f"{sample}{{{label}}}")
        return names

    def test_rules(self) -> None:
        text = "".join(re.findall(r"expr: (?:>\n)?((?:.|\n {10})*)", RULES.read_text()))
        self.assertGreater(len(self.check(text)), 5)

    def test_documented(self) -> None:
        page = (ROOT / "docs" / "monitoring.rst").read_text()
        alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
        self.assertEqual(re.findall(r"\* - ``(NoVNC\w+)``", page), alerts)

    def test_labels_of_the_rules(self) -> None:
        """The text of an alert quotes only labels that its expression keeps."""
        for alert in RULES.read_text().split("- alert: ")[1:]:
            quoted = set(re.findall(r"\$labels\.(\w+)", alert))
            kept = set(re.split(r",\s*", ",".join(re.findall(r"by \(([^)]*)\)", alert)))) or OF_PROMETHEUS
            self.assertLessEqual(quoted, kept | ({"instance"} if "up{" in alert else set()), alert.split("\n")[0])

    def test_dashboard(self) -> None:
        """The dashboard shows each metric."""
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertEqual(self.check("\n".join(expressions(dashboard))), set(DEFINITIONS))
        for panel in dashboard["panels"]:
            self.assertTrue(panel["title"])
        identifiers = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(identifiers), len(set(identifiers)))


class PromtoolTests(TestCase):
    """Prometheus' promtool, which ``make`` installs in ``.make``."""

    async def promtool(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run promtool, which must succeed; return its output."""
        found = shutil.which("promtool") or str(ROOT / ".make" / "promtool")
        if not Path(found).exists():
            self.fail("promtool is missing; run scripts/install-promtool .make/promtool")
        out, err, code = await getProcessOutputAndValue(
            found, arguments, path=str(RULES.parent), **({} if stdin is None else {"stdinBytes": stdin})
        )
        self.assertEqual(code, 0, (out + err).decode())
        return (out + err).decode()

    async def test_rules(self) -> None:
        printed = await self.promtool("check", "rules", RULES.name)
        self.assertIn(f"SUCCESS: {RULES.read_text().count('- alert:')} rules found", printed)

    async def test_alerts(self) -> None:
        """Each alert fires when it should, and none fires while everything works."""
        self.assertIn("SUCCESS", await self.promtool("test", "rules", "novnc_twisted.test.yml"))

    async def test_metrics(self) -> None:
        """promtool reports nothing about the names, the help texts and the format."""
        monitor = Monitor(Clock())
        monitor.metrics(SessionOpened(phases=(("token", 0.1), ("dial", 0.1), ("login", 0.1))))
        monitor.metrics(RequestRefused(service="novncproxy", cause="BadRequest", address=""))
        monitor.metrics.called("called", "consoleauth", "check_token", 0.1, None)
        status = self.successResultOf(monitor.status())
        self.assertEqual(await self.promtool("check", "metrics", stdin=exposition(status.samples)), "")
