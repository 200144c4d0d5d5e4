"""The tables of docs/failures.rst, from what ``make failures`` has recorded in docs/failures/latest.json.

* ``.. failures:: CLOUD``: the faults in one kind of cloud
* ``.. failures-machine::``: when and where they were recorded
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE = Path(__file__).resolve().parent.parent / "failures" / "latest.json"

PARTS = {
    "consoleauth": "One of two consoleauths",
    "consoleauths": "Both consoleauths",
    "consoleapi": "consoleapi",
    "compute": "consolecompute of the VM's host",
    "proxy": "The proxy (its main process)",
    "worker": "One of the proxy's two workers",
    "primary": "The primary of Redis",
    "replica": "The replica of Redis",
    "redis": "Redis",
    "sentinel": "One of three Sentinels",
    "libvirtd": "libvirtd of the VM's host",
    "qemu": "QEMU of the VM",
}
FAULTS = {"kill": "killed", "stop": "stopped", "cut": "cut off", "restart": "killed and started again"}
WORDS = {
    "works": "works",
    "waits": "waits",
    "no answer": "no answer",
    "connection refused": "no connection",
    "connection lost": "connection lost",
}


def failure_lines(outcomes: list[dict[str, Any]]) -> list[str]:
    """The table of some faults, as reStructuredText."""
    header = ["Fault", "Links meanwhile", "Sessions in their set-up", "A live session", "Links work again"]
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 22 22 18 18", ""]
    for row in [header, *map(_row, outcomes)]:
        for number, cell in enumerate(row):
            first, *rest = cell.splitlines()
            lines.append(f"   {'*' if number == 0 else ' '} - {first}")
            lines += [f"       {line}".rstrip() for line in rest]
    return [*lines, ""]


def _row(one: dict[str, Any]) -> list[str]:
    set_up = [f"at the VNC server: {_said([one['server']])}"]
    if one["token"]:
        set_up.insert(0, f"at the token: {_said(one['token'])}")
    live = one["live"]
    if one["resumed"] is not None and live.endswith("goes on"):
        live += f", {one['resumed']:.1f} s after the cure"
    live = live if live.startswith(("goes", "stands")) else f"ends: {_said([live])}"
    return [
        f"{PARTS[one['part']]} {'are' if one['part'] == 'consoleauths' else 'is'} {FAULTS[one['fault']]}",
        f"made before: {_said(one['link'])}\n\nnew: {_said(one['new'])}\n\nto another host: {_said(one['elsewhere'])}",
        "\n\n".join(set_up),
        "\n\n".join([live, *one["notes"]]),
        _again(one),
    ]


def _said(outcomes: list[str]) -> str:
    """The outcomes in the order in which they occurred first; those under way at the cure only if there is no other."""
    seen = [one for one in dict.fromkeys(outcomes) if one != "waits"] or ["waits"]
    return ", ".join(WORDS.get(one, f"``{one}``") for one in seen)


def _again(one: dict[str, Any]) -> str:
    if one["recovered"] == 0:
        return "none was refused" + (f"; some took {one['slowest']:.1f} s" if one["slowest"] > 1 else "")
    if one["recovered"] is not None:
        return f"by themselves, {one['recovered']:.1f} s after the fault"
    return f"{max(0.0, one['after']):.1f} s after the {'start' if one['fault'] == 'restart' else 'cure'}"


def machine_lines(recorded: dict[str, Any]) -> Iterator[str]:
    """One sentence: when, where, and how long each fault lasted."""
    yield (
        f"Recorded by ``make failures`` on {recorded['made']}, on {recorded['machine']}. "
        f"Each fault lasted {recorded['seconds']:.0f} s."
    )


class _Failures(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        recorded = json.loads(FILE.read_text())
        return self.parse_text_to_nodes("\n".join(failure_lines(recorded["clouds"][self.arguments[0]])))


class _Machine(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        return self.parse_text_to_nodes("\n".join(machine_lines(json.loads(FILE.read_text()))))


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry."""
    app.add_directive("failures", _Failures)
    app.add_directive("failures-machine", _Machine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
