"""Sphinx directives that generate parts of the documents from the code, so that the two cannot differ.

* ``.. refusals::``: the table of :mod:`novnc_twisted.errors`, with the advice of ``advice.py``
* ``.. options::``: the table of :mod:`novnc_twisted.service.options`
* ``.. changes::``: the fragments of ``changelog.d`` that belong to no release yet, then CHANGES.md
* ``.. topics::``: the topics and methods of :mod:`novnc_twisted.contract.topics`
* ``.. rights::``: the rights of each Redis user, from the same table and :mod:`novnc_twisted.messaging.redis.acl`
* ``.. metrics::``: the table of :mod:`novnc_twisted.monitoring.definitions`
* ``.. interface:: NAME``: a zope Interface, which autodoc does not support
* ``.. measured:: FILE [SECTION]``: a report of the benchmarks in docs/performance (``--publish``), or one section of it

The ``*_lines`` functions return reStructuredText; the tests check their output.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from advice import ADVICE
from docutils import nodes
from oslo_config import cfg
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import import_object
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from zope.interface.interface import InterfaceClass

from novnc_twisted.contract.roles import COMPUTE, ROLES
from novnc_twisted.contract.topics import TOPICS
from novnc_twisted.errors import TABLE, Refusal
from novnc_twisted.messaging.redis.acl import USER, store_rights
from novnc_twisted.monitoring.definitions import DEFINITIONS, Definition
from novnc_twisted.service.options.help import RELOADED
from novnc_twisted.service.options.table import TABLE as OPTIONS

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = {"feature": "New", "bugfix": "Fixed", "doc": "Documents", "removal": "Removed", "misc": "Other"}


def _table(header: list[str], widths: str, rows: Iterable[list[str]]) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", "")
    for row in [header, *rows]:
        for number, cell in enumerate(row):
            first, *rest = cell.splitlines() or [""]
            yield f"   {'*' if number == 0 else ' '} - {first}".rstrip()
            yield from (f"       {line}".rstrip() for line in rest)
    yield ""


def refusal_lines() -> list[str]:
    """The refusals by close code, each with what it means and what an operator can do."""
    return list(
        _table(
            ["Cause, and its codes", "What people read", "What it means, and what to do"],
            "20 35 45",
            (_refusal_row(name, row) for name, row in sorted(TABLE.items(), key=lambda item: _code(item[1]))),
        )
    )


def _refusal_row(name: str, row: type[Refusal]) -> list[str]:
    codes = [f"close {row.close_code}"]
    codes += [f"XVP {row.status}"] if row.status else []
    codes += [f"API {row.api_status}"] if row.api_status else []
    meaning = " ".join((row.__doc__ or "").split())
    advice = ADVICE.get(name, "")
    return [f"_`{name}`\n\n" + ", ".join(codes), row.sentence, f"{meaning}\n\n{advice}".rstrip()]


def _code(row: type[Refusal]) -> tuple[int, int, str]:
    # What we answer first, then what the protocol's own codes say.
    return (row.close_code < 4000, row.close_code, row.__name__)


def option_lines() -> list[str]:
    """Every option by group: name, default, former names, what it does."""
    lines: list[str] = []
    for group, options in OPTIONS.items():
        lines += [f".. rubric:: [{group}]", ""]
        lines += _table(["Option", "Default", "What it does"], "25 25 50", (_option_row(one) for one in options))
    return lines


def _option_row(option: cfg.Opt) -> list[str]:
    text = _plain(" ".join((option.help or "").split()))
    if option.mutable:
        text += f" {RELOADED}"
    choices = getattr(option.type, "choices", None)
    if choices:
        text += "\n\nOne of " + ", ".join(f"``{choice}``" for choice in choices) + "."
    former = sorted({f"[{one.group or 'DEFAULT'}] {one.name}" for one in option.deprecated_opts})
    if former:
        text += "\n\nFormerly " + ", ".join(f"``{name}``" for name in former) + "."
    return [f"``{option.name}``", _default(option), text]


def _default(option: cfg.Opt) -> str:
    value = option.default if option.sample_default is None else option.sample_default
    if value is None:
        return "unset"
    if isinstance(value, list):
        value = ",".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    if str(value).startswith("<"):
        return str(value).strip("<>")
    return f"``{value}``" if str(value) else "empty"


def metric_lines() -> list[str]:
    """Every metric: its type, what it means, and the values of its labels."""
    return list(_table(["Metric", "What it means", "Labels"], "30 40 30", map(_metric_row, DEFINITIONS.values())))


def _metric_row(metric: Definition) -> list[str]:
    kind = "gauge" if metric.kind == "info" else metric.kind
    labels = _paragraphs(
        f"``{label}``: " + (", ".join(f"``{value}``" for value in values) if len(values) < 10 else _REFERENCES[label])
        if values
        else f"``{label}``"
        for label, values in metric.labels.items()
    )
    return [f"``{metric.name}``\n\n{kind}", metric.help, labels]


_REFERENCES = {
    "cause": "a cause of :doc:`operations`",
    "method": "a method of :doc:`wire`",
}
"""Where the values of a label are listed, if there are many."""


def rights_lines() -> list[str]:
    """The users of Redis: what each calls and serves, and what else it reads and writes."""
    rows = [
        [
            f"``{USER}{role}{'.HOST' if role == COMPUTE else ''}``",
            _paragraphs(
                f"``{topic.pattern}``: " + ", ".join(f"``{method}``" for method in topic.methods_of(role))
                for topic in TOPICS
                if role in topic.callers
            ),
            _paragraphs(f"``{topic.pattern}``" for topic in TOPICS if topic.server == role and topic.methods),
            " ".join(right.meaning for right in store_rights(role)),
        ]
        for role in ROLES
    ]
    return list(_table(["User", "Calls", "Serves", "Reads and writes"], "16 36 14 34", rows))


def topic_lines() -> list[str]:
    """The topics on the bus, with the roles that may call each method."""
    rows = [
        ["" if number else f"``{topic.pattern}``", f"``{method}``", ", ".join(f"``{role}``" for role in callers)]
        for topic in TOPICS
        for number, (method, callers) in enumerate(topic.methods.items())
    ]
    return list(_table(["Topic", "Method", "Roles that may call it"], "20 40 40", rows))


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n\n".join(texts) or "nothing"


def change_lines(root: Path = ROOT) -> list[str]:
    """The fragments that wait for a release, then CHANGES.md."""
    lines: list[str] = []
    waiting = sorted((root / "changelog.d").glob("*.*.md"))
    if waiting:
        lines += [".. rubric:: Not released yet", ""]
    for kind, title in KINDS.items():
        found = [path for path in waiting if path.name.split(".")[1] == kind]
        if found:
            lines += [f"**{title}**", ""]
            lines += [f"* {' '.join(path.read_text().split())}" for path in found] + [""]
    for line in (root / "CHANGES.md").read_text().splitlines():
        heading = re.match(r"(#+) (.*)", line)
        if heading:
            lines += {1: [], 2: [f".. rubric:: {heading[2]}", ""]}.get(len(heading[1]), [f"**{heading[2]}**", ""])
        elif not line.startswith("<!--"):
            lines.append(re.sub(r"^- ", "* ", line))
    return lines


def measured_lines(text: str, section: str = "") -> list[str]:
    """A report of the benchmarks: the Markdown that they write, headings, lists and tables, or one section of it.

    :raises KeyError: it has no such section.
    """
    if section:
        parts = dict(part.partition("\n")[::2] for part in re.split(r"^## ", text, flags=re.M))
        text = parts[section]
    lines: list[str] = []
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = [_plain(cell.strip()) for cell in line.strip("|").split("|")]
            table += [cells] if set("".join(cells)) - set("-") else []
            continue
        if table:
            (header, *rows), table = table, []
            lines += ["", *_table(header, "auto", rows)]
        heading = re.match(r"#+ (.*)", line)
        lines += ["", f".. rubric:: {_plain(heading[1])}", ""] if heading else [_plain(line).replace("\\* ", "* ", 1)]
    return lines


def interface_lines(name: str) -> list[str]:
    """A zope Interface: what it is, and its methods."""
    interface: InterfaceClass = import_object(name)
    signatures = _signatures(interface)
    lines = [f".. py:class:: {name}", "", *_indented(interface.getDoc()), ""]
    for member, description in interface.namesAndDescriptions():
        kind = f"method:: {member}({signatures[member]})" if member in signatures else f"attribute:: {member}"
        lines += [f"   .. py:{kind}", "", *(f"   {line}" for line in _indented(description.getDoc())), ""]
    return lines


def _signatures(interface: InterfaceClass) -> dict[str, str]:
    """Its methods' arguments as the source has them: zope's own knows no keyword-only ones."""
    tree = ast.parse(inspect.getsource(sys.modules[interface.__module__]))
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == interface.__name__)
    signatures = {}
    for method in found.body:
        if isinstance(method, ast.FunctionDef):
            for argument in ast.walk(method.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
            signatures[method.name] = ast.unparse(method.args)
    return signatures


def _indented(doc: str) -> list[str]:
    return textwrap.indent(inspect.cleandoc(doc), "   ").splitlines()


def _plain(text: str) -> str:
    """Text of the code as reStructuredText that says the same."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


class _Generated(SphinxDirective):
    """Parses lines that were made."""

    make: Any = None

    def run(self) -> list[nodes.Node]:
        for source in (
            "novnc_twisted/errors.py",
            *(ROOT / "novnc_twisted" / "service" / "options").glob("*.py"),
            "novnc_twisted/contract/topics.py",
            "novnc_twisted/messaging/redis/acl.py",
            "docs/_ext/advice.py",
            "CHANGES.md",
        ):
            self.env.note_dependency(str(ROOT / source))
        return self.parse_text_to_nodes("\n".join(type(self).make()))


class _Refusals(_Generated):
    make = staticmethod(refusal_lines)


class _Options(_Generated):
    make = staticmethod(option_lines)


class _Changes(_Generated):
    make = staticmethod(change_lines)


class _Topics(_Generated):
    make = staticmethod(topic_lines)


class _Metrics(_Generated):
    make = staticmethod(metric_lines)


class _Rights(_Generated):
    make = staticmethod(rights_lines)


class _Measured(SphinxDirective):
    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        path = ROOT / "docs" / "performance" / self.arguments[0]
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes("\n".join(measured_lines(path.read_text(), *self.arguments[1:])))


class _Interface(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(interface_lines(self.arguments[0])))


def _find_refusal(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.TextElement
) -> nodes.Element | None:
    """Docstrings name refusals as exceptions: they stand in the table of operations."""
    name = str(node.get("reftarget", "")).rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in TABLE:
        return None
    return make_refnode(app.builder, node["refdoc"], "operations", nodes.make_id(name), contents)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry."""
    app.add_directive("refusals", _Refusals)
    app.add_directive("options", _Options)
    app.add_directive("changes", _Changes)
    app.add_directive("rights", _Rights)
    app.add_directive("topics", _Topics)
    app.add_directive("metrics", _Metrics)
    app.add_directive("interface", _Interface)
    app.add_directive("measured", _Measured)
    app.connect("missing-reference", _find_refusal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
