"""The README: its figures are current, and its steps fit the files of the repository."""

import re
from pathlib import Path

from twisted.trial.unittest import TestCase

from benchmarks import readme
from novnc_twisted.service.configuration import read_configuration
from tests.test_docs import DOCS, README, ROOT, unknown_options


class Figures(TestCase):
    """The README's figures are those of the published report."""

    def test_table(self) -> None:
        text = README.read_text()
        shown = text[text.index(readme.BEGIN) + len(readme.BEGIN) : text.index(readme.END)]
        self.assertEqual(shown, readme.figures((DOCS / "performance" / "latest.md").read_text()))

    def test_update(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"before\n{readme.BEGIN}old\n{readme.END}after\n")
        report = (DOCS / "performance" / "latest.md").read_text()
        readme.update(path, report)
        self.assertEqual(path.read_text(), f"before\n{readme.BEGIN}{readme.figures(report)}{readme.END}after\n")
        self.assertRaises(KeyError, readme.figures, "### other (other)\n")

    def test_what_a_report_lacks(self) -> None:
        report = (DOCS / "performance" / "latest.md").read_text()
        self.assertEqual(readme.missing(report), [])
        without = re.sub(r"^\| nova \|.*\n", "", report, flags=re.M)
        self.assertEqual(readme.missing(without), [f"{row} of nova" for row in readme.LINES])
        self.assertEqual(readme.missing("### other (other)\n"), list(readme.LINES))


class Deployment(TestCase):
    """The README's steps, as far as they can be checked without running them."""

    WHO = ("every host", "api host", "one host", "controller", "compute1", "compute2", "compute")

    def setUp(self) -> None:
        self.blocks = re.findall(r"<!-- step: ([^>]+) -->\n```sh\n(.*?)```", README.read_text(), re.S)

    def test_each_block_names_its_host(self) -> None:
        self.assertEqual(len(self.blocks), README.read_text().count("<!-- step:"))
        for who, _ in self.blocks:
            self.assertIn(re.sub(" (package|systemd|copy)$", "", who), self.WHO)

    def test_units_exist_and_run_what_the_steps_install(self) -> None:
        units = {path.stem for path in (ROOT / "contrib" / "systemd").glob("*.service")}
        for who, block in self.blocks:
            for line in re.findall(r"systemctl enable --now (.*)", block):
                self.assertLessEqual(set(line.split()), units, who)
        for unit in units:
            text = (ROOT / "contrib" / "systemd" / f"{unit}.service").read_text()
            self.assertIn("/opt/novnc_twisted/bin/twistd", text)
            self.assertIn("--config-file /etc/nova/nova.conf", text)
            self.assertIn(f"User=novnc-{unit}", text)

    def test_each_nova_conf_is_understood(self) -> None:
        found = 0
        for who, block in self.blocks:
            for text in re.findall(r"/etc/nova/nova.conf <<'?EOF'?\n(.*?)EOF\n", block, re.S):
                path = Path(self.mktemp())
                path.write_text(text.replace("$MY_IP", "10.0.0.31"))
                conf, warnings = read_configuration([str(path)])
                self.assertEqual(warnings, [], who)
                self.assertEqual(conf.transport_url, "memory://")  # the files of novnc-redis-acl set Redis
                self.assertEqual(unknown_options(text), [], who)
                found += 1
        self.assertEqual(found, 3)
