"""The documents agree with the code: generated text is current, and names in the text exist."""

import ast
import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from oslo_config import generator
from twisted.trial.unittest import TestCase

from novnc_twisted.contract.roles import PROXY, ROLES
from novnc_twisted.contract.topics import CONSOLEAUTH, TOPICS
from novnc_twisted.errors import TABLE
from novnc_twisted.events.refused import RefusalCause
from novnc_twisted.messaging.redis.acl import store_rights
from novnc_twisted.monitoring.definitions import DEFINITIONS as METRICS
from novnc_twisted.service.configuration import read_configuration
from novnc_twisted.service.options.table import TABLE as OPTIONS
from novnc_twisted.session import SessionSettings
from tests.test_layers import LAYERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([*DOCS.glob("*.rst"), *DOCS.glob("*.md"), README])

sys.path.insert(0, str(DOCS / "_ext"))
import advice  # noqa: E402
import novnc_twisted_docs as extension  # noqa: E402


def unknown_options(piece: str) -> list[str]:
    """The names before `` = `` in a piece of nova.conf that do not belong to an option."""
    group, unknown = "DEFAULT", []
    for line in piece.splitlines():
        if heading := re.fullmatch(r" *\[(\w+)\]", line):
            group = heading[1]
        elif (assignment := re.match(r" *(\w+) = ", line)) and assignment[1] not in [o.name for o in OPTIONS[group]]:
            unknown.append(f"[{group}] {assignment[1]}")
    return unknown


class Generated(TestCase):
    """Text that is generated from the code."""

    def test_every_refusal_has_advice_and_a_row(self) -> None:
        self.assertEqual(set(advice.ADVICE), set(TABLE))
        text = "\n".join(extension.refusal_lines())
        for name, row in TABLE.items():
            self.assertIn(f"_`{name}`", text)
            self.assertIn(row.sentence, text)
            self.assertIn(f"close {row.close_code}", text)

    def test_every_option_has_a_row_with_its_former_names(self) -> None:
        text = "\n".join(extension.option_lines())
        for group, options in OPTIONS.items():
            self.assertIn(f"[{group}]", text)
            for option in options:
                self.assertIn(f"``{option.name}``", text)
                self.assertTrue(option.help, option.name)
        self.assertIn("``[DEFAULT] vncserver_proxyclient_address``", text)

    def test_rights_of_the_users_of_redis(self) -> None:
        text = "\n".join(extension.rights_lines())
        for topic in TOPICS:
            for role in topic.callers:
                methods = ", ".join(f"``{method}``" for method in topic.methods_of(role))
                self.assertIn(f"``{topic.pattern}``: {methods}", text)
        for role in ROLES:
            self.assertIn(f"``novnc-{role}", text)
            for right in store_rights(role):
                self.assertIn(right.meaning, text)
        page = (DOCS / "redis_acl.rst").read_text()
        self.assertIn(".. rights::", page)
        # The table of what a stolen proxy credential can do has rows for each method.
        table = page.partition("\nOf a proxy\n")[2].partition("\nOf a compute host\n")[0]
        rows = re.findall(r"^ +\* - (``.*)$", table, re.MULTILINE)
        self.assertEqual(set(re.findall(r"``(\w+)``", "".join(rows))), set(CONSOLEAUTH.methods_of(PROXY)))

    def test_metrics(self) -> None:
        text = "\n".join(extension.metric_lines())
        for metric in METRICS.values():
            self.assertIn(f"``{metric.name}``", text)
            self.assertIn(metric.help, text)
            for label in metric.labels:
                self.assertIn(f"``{label}``", text)
        self.assertIn(".. metrics::", (DOCS / "monitoring.rst").read_text())

    def test_topics_on_the_bus(self) -> None:
        text = "\n".join(extension.topic_lines())
        for topic in TOPICS:
            self.assertIn(f"``{topic.pattern}``", text)
            for method in topic.methods:
                self.assertIn(f"``{method}``", text)
        self.assertIn(".. topics::", (DOCS / "wire.rst").read_text())

    def test_the_sample_is_current(self) -> None:
        made = Path(self.mktemp())
        with contextlib.redirect_stderr(io.StringIO()):
            generator.main(["--namespace", "novnc_twisted", "--output-file", str(made)])
        self.assertEqual(
            (DOCS / "nova.conf.sample").read_text(),
            made.read_text(),
            "generate it again: oslo-config-generator --namespace novnc_twisted --output-file docs/nova.conf.sample",
        )

    def test_the_sample_can_be_read(self) -> None:
        _, warnings = read_configuration([str(DOCS / "nova.conf.sample")])
        self.assertEqual(warnings, [])

    def test_reports_of_the_benchmarks(self) -> None:
        table = "| a | b |\n|---|---|\n| 1 | 2_3 |"
        report = f"said\n\n## One\n\ntwo_words, *all*\n\n{table}\n\n### More\n\n* x_y\n\n## Other\nz\n"
        one = "\n".join(extension.measured_lines(report, "One"))
        for text in (
            "two\\_words, \\*all\\*",
            ".. list-table::",
            "   * - a\n     - b",
            "   * - 1\n     - 2\\_3",
            ".. rubric:: More",
        ):
            self.assertIn(text, one)
        self.assertIn("\n* x\\_y", one)
        for text in ("said", "z"):
            self.assertNotIn(text, one)
        self.assertIn("z", extension.measured_lines(report))
        self.assertRaises(KeyError, extension.measured_lines, report, "None")

    def test_interfaces_have_their_real_signatures(self) -> None:
        lines = extension.interface_lines("novnc_twisted.messaging.ITransport")
        self.assertIn("   .. py:method:: call(topic, method, /, *, deadline=5.0, **arguments)", lines)
        self.assertIn("   .. py:attribute:: store", lines)

    def test_changes_that_wait_and_changes_that_were_released(self) -> None:
        root = Path(self.mktemp())
        (root / "changelog.d").mkdir(parents=True)
        (root / "changelog.d" / "7.bugfix.1.md").write_text("It works\nagain.\n")
        (root / "CHANGES.md").write_text(
            "# Changes\n\n<!-- start -->\n\n## 1.0 (today)\n\n### Features\n\n- New. (#2)\n"
        )
        lines = [line for line in extension.change_lines(root) if line]
        self.assertEqual(
            lines,
            [
                ".. rubric:: Not released yet",
                "**Fixed**",
                "* It works again.",
                ".. rubric:: 1.0 (today)",
                "**Features**",
                "* New. (#2)",
            ],
        )


class Named(TestCase):
    """Files, options and other names in the pages exist."""

    def test_links_of_the_readme(self) -> None:
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text())
        self.assertGreater(len(targets), 10)
        for target in targets:
            self.assertTrue((ROOT / target).exists(), target)
        sections = re.findall(r"\]\((docs/[\w.]+\.rst)#([\w-]+)\)", README.read_text())
        self.assertGreater(len(sections), 3)
        for page, section in sections:
            headings = re.findall(r"^(\S.*)\n[=~-]{3,}$", (ROOT / page).read_text(), re.M)
            # GitHub's anchors of the headings.
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            self.assertIn(section, anchors, page)

    def test_files_of_the_repository(self) -> None:
        for page in PAGES:
            for name in re.findall(
                r"(?<![\w/])((?:novnc_twisted|docs|contrib|changelog\.d|tests)/[\w./-]*\w)", page.read_text()
            ):
                self.assertTrue((ROOT / name).exists(), f"{page.name}: {name}")

    def test_targets_of_make(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        for page in PAGES:
            for target in re.findall(r"(?:^ {4}|`)make ([a-z-]+)", page.read_text(), re.M):
                self.assertRegex(makefile, rf"(?m)^{target}:", f"{page.name}: make {target}")

    def test_options(self) -> None:
        """``[group] name``, also in Markdown's single backticks, and names before `` = `` in pieces of nova.conf."""
        for page in (*PAGES, DOCS / "_ext" / "advice.py"):
            text = re.sub(r'"\n +"', "", page.read_text())  # string literals that are split over two lines
            for group, name in re.findall(r"`\[(\w+)\] (\w+)", text):
                self.assertIn(name, [option.name for option in OPTIONS[group]], page.name)
            for piece in re.findall(r"(?:^|\n)( *)(\[DEFAULT\]\n.*?)(?=\n[^\s\[\w]|\nEOF|\n\S[^=\n]*\n)", text, re.S):
                self.assertEqual(unknown_options(piece[1]), [], page.name)

    def test_limits(self) -> None:
        """The table of limits has each number of these groups that is named ``max_*`` or ``*_timeout``."""
        text = (DOCS / "operations.rst").read_text()
        table = text[text.index("\nLimits\n") : text.index("\nA proxy process reserves")]
        found = 0
        for group in ("console", "consoleauth", "api"):
            for option in OPTIONS[group]:
                if re.match(r"max_|.*_timeout$", option.name) and hasattr(option.type, "min"):
                    self.assertRegex(table, rf"\b{option.name}``", f"[{group}] {option.name}")
                    found += 1
        self.assertGreater(found, 5)

    def test_causes(self) -> None:
        """CamelCase names in double backticks are causes or ``ConnectInfo``; every cause of a refusal is named."""
        known = {*TABLE, *get_args(RefusalCause), "ConnectInfo"}
        text = (DOCS / "operations.rst").read_text()
        for name in re.findall(r"``([A-Z][a-z]+(?:[A-Z][a-z]+)+)``", text):
            self.assertIn(name, known)
        for name in get_args(RefusalCause):
            self.assertIn(f"``{name}``", text)

    def test_codes_in_prose(self) -> None:
        codes = {str(row.close_code) for row in TABLE.values()}
        for page in PAGES:
            for code in re.findall(r"(?<![\w-])4[45]\d\d(?![\w-])", page.read_text()):
                self.assertIn(code, codes, page.name)

    def test_deadlines_of_the_walk(self) -> None:
        settings = SessionSettings()
        self.assertIn(
            f"HTTP head {settings.head_deadline:g} s, token {settings.token_deadline:g} s, "
            f"dial {settings.dial_deadline:g} s, RFB on either side {settings.rfb_deadline:g} s, "
            f"and {settings.setup_deadline:g} s from accept",
            " ".join((DOCS / "walk.rst").read_text().split()),
        )


class Page(TestCase):
    """The console page's URL parameters."""

    LOCATION = ROOT / "novnc_twisted" / "web" / "src" / "location.js"

    def test_parameters(self) -> None:
        """The document lists the parameters that the page reads, with all their values."""
        source = self.LOCATION.read_text()
        read = set(re.findall(r"last\((?:query|page\.searchParams), '(\w+)'\)", source))
        page = (DOCS / "page.rst").read_text()
        table = page[page.index(".. _url-parameters:") : page.index("If a parameter is given several times")]
        rows = re.findall(r"^   \* - (``.*)\n     - ((?:.*\n)(?:       .*\n)*)", table, re.M)
        self.assertEqual({name for row, _ in rows for name in re.findall(r"``(\w+)=", row)}, read)
        texts = {re.findall(r"``(\w+)=", row)[0]: row + text for row, text in rows}
        pictures = re.findall(r"\['(\w+)', '\w+'\]", source)
        levels = re.findall(r"'(\w+)'", re.findall(r"\[([^]]*)\]\.includes\(logging\)", source)[0])
        yes = re.findall(r"'(\w+)'", re.findall(r"const YES = \[(.*)\]", source)[0])
        for name, values in (("resize", pictures), ("logging", levels), ("view_only", yes)):
            self.assertGreater(len(values), 2, name)
            for value in values:
                self.assertRegex(texts[name], rf"``(?:{name}=)?{value}``", f"{name}={value}")


class Architecture(TestCase):
    """The drawings of docs/architecture.rst match the code."""

    PAGE = DOCS / "architecture.rst"

    def test_packages_and_layers(self) -> None:
        rows = re.findall(r"^    (\d)  \|(.*)\|$", self.PAGE.read_text(), re.M)
        drawn = {name.strip(): int(layer) for layer, names in rows for name in names.split("|")}
        self.assertEqual(drawn, {name: layer for name, layer in LAYERS.items() if layer})

    def test_every_package_is_described(self) -> None:
        described = re.findall(r"^   \* - ``(\w+)``$", self.PAGE.read_text(), re.M)
        self.assertEqual(sorted(described), sorted(name for name, layer in LAYERS.items() if layer))

    def test_phases_of_a_session(self) -> None:
        """Each phase that the code sets is drawn here, and listed in operations.rst and glossary.rst."""
        drawn = re.findall(r"\[ ([a-z ]+) \]", self.PAGE.read_text())
        phases = set(phases_in(ROOT / "novnc_twisted" / "session"))
        self.assertEqual(sorted(drawn), sorted(phases))
        operations, glossary = (
            " ".join((DOCS / name).read_text().split()) for name in ("operations.rst", "glossary.rst")
        )
        listed = ", ".join(f"``{phase}``" for phase in drawn)
        self.assertIn(listed, operations)
        self.assertIn(listed, glossary)


class WebTests(TestCase):
    """The README of the pages."""

    def test_each_module_is_described(self) -> None:
        web = ROOT / "novnc_twisted" / "web"
        modules = {f"src/{path.name}" for path in (web / "src").glob("*.js")}
        text = (web / "README.md").read_text()
        self.assertEqual(modules ^ set(re.findall(r"src/[\w.]+\.js", text)), set())
        english = {path.name for path in (web / "src" / "locales").glob("*en.js")}
        self.assertEqual({name for name in english if name not in text}, set())


def phases_in(folder: Path) -> Iterator[str]:
    """Every string that the modules of a folder assign to a name or an attribute ``phase``, or pass to ``enter()``."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    if getattr(target, "attr", getattr(target, "id", "")) == "phase":
                        yield str(node.value.value)
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "enter":
                yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))
