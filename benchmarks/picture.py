"""The picture of a run, as SVG: one panel for each metric, one line for each proxy.

The axes are logarithmic, because the proxies differ by factors.  A dot is the median; a whisker covers all rounds; the
dashed line is HAProxy.
"""

import math
import statistics
from collections.abc import Sequence
from html import escape

from benchmarks.measure import ROWS
from benchmarks.report import Measured, title

PANELS = (
    ("bulk", "cpu_s_per_gb"),
    ("one-cpu", "mb_per_s"),
    ("round-trip", "cpu_us"),
    ("round-trip", "p99_us"),
    ("upstream", "cpu_us"),
    ("set-up", "cpu_ms"),
    ("memory", "kib_at_500"),
    ("memory", "kib_at_5000"),
    ("slow", "growth_mib"),
    ("wss", "cpu_s_per_gb"),
)
_MORE_IS_BETTER = {"mb_per_s"}
_REFERENCES = ("haproxy", "haproxy, TLS")

_WIDTH, _PANEL, _MARGIN = 980, 470, 20
_NAMES, _AXIS = 172, 200  # where a panel's names end, and the length of its axis
_LINE, _HEAD, _FOOT = 20, 34, 26
_LEAST = 0.01  # a logarithmic axis has no 0

_STYLE = """
.paper { fill: #fff } text { font: 13px system-ui, sans-serif; fill: #222 } .title { font-weight: 600 }
.small { font-size: 11px; fill: #555 } .grid { stroke: #ddd } .reference { stroke: #777; stroke-dasharray: 4 3 }
.peer { fill: #777; stroke: #777 } .ours { fill: #c2410c; stroke: #c2410c }
text.ours, text.peer { stroke: none } text.peer { fill: #222 }
text.ours { font-weight: 600 }
"""


def draw(values: Measured, names: Sequence[str], caption: str) -> str:
    """The picture as SVG text.

    :param names: the subjects, in the order of their lines; those without a value are left out of a panel.
    :param caption: the line below: what was measured, and where.
    """
    panels = [panel for panel in (_panel(values, row, metric, names) for row, metric in PANELS) if panel]
    drawn: list[str] = []
    y = _MARGIN
    for left in range(0, len(panels), 2):
        pair = panels[left : left + 2]
        for column, (_, body) in enumerate(pair):
            drawn.append(f'<g transform="translate({_MARGIN + column * _PANEL} {y})">{body}</g>')
        y += max(height for height, _ in pair)
    height = y + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-labelledby="what">\n<title id="what">What console proxies cost, side by side</title>\n'
        f'<style>{_STYLE}</style>\n<rect class="paper" width="{_WIDTH}" height="{height}"/>\n'
        + "\n".join(drawn)
        + f'\n<text class="small" x="{_MARGIN}" y="{height - 12}">{escape(caption)}</text>\n</svg>\n'
    )


def _panel(values: Measured, row: str, metric: str, names: Sequence[str]) -> tuple[int, str] | None:
    """One panel's height and elements; None where nothing was measured."""
    each = {name: [got[metric] for got in values.get(row, {}).get(name, ()) if got and metric in got] for name in names}
    lines = {name: sorted(found) for name, found in each.items() if found and name != "direct"}
    if not lines:
        return None
    axis = _Axis([value for found in lines.values() for value in found])
    bottom = _HEAD + _LINE * len(lines)
    better = "more" if metric in _MORE_IS_BETTER else "less"
    parts = [
        f'<text class="title" y="14">{escape(ROWS[row].title)}: {escape(title(metric))}</text>',
        f'<text class="small" x="{_NAMES + _AXIS + 60}" y="14" text-anchor="end">{better} is better</text>',
    ]
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 10}" y2="{bottom}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{bottom + 13}" text-anchor="middle">{tick:g}</text>')
    for reference in _REFERENCES:
        if reference in lines:
            x = axis.at(statistics.median(lines[reference]))
            parts.append(f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 10}" y2="{bottom}"/>')
    for number, (name, found) in enumerate(lines.items()):
        parts.append(_line(axis, name, found, _HEAD + _LINE * number + 6))
    return bottom + _FOOT, "".join(parts)


def _line(axis: "_Axis", name: str, found: Sequence[float], y: int) -> str:
    middle = statistics.median(found)
    kind = "ours" if name.startswith("ours") else "peer"
    left, right, x = axis.at(found[0]), axis.at(found[-1]), axis.at(middle)
    shown = f"{middle:.0f}" if middle >= 100 else f"{middle:.2g}"
    return (
        f'<text class="{kind}" x="{_NAMES - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        f'<line class="{kind}" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4"/>'
        f'<text x="{_NAMES + _AXIS + 60}" y="{y + 4}" text-anchor="end">{shown}</text>'
    )


class _Axis:
    """A logarithmic axis around these values."""

    def __init__(self, values: Sequence[float]) -> None:
        logs = [math.log10(max(value, _LEAST)) for value in values]
        self._low, self._high = min(logs) - 0.1, max(logs) + 0.1

    def at(self, value: float) -> float:
        """The position of a value."""
        share = (math.log10(max(value, _LEAST)) - self._low) / (self._high - self._low)
        return _NAMES + _AXIS * share

    def ticks(self) -> list[float]:
        """The powers of ten on the axis; on a short axis, their multiples by 2 and 5 as well."""
        powers = range(math.floor(self._low), math.floor(self._high) + 1)
        steps = (1,) if self._high - self._low > 1.7 else (1, 2, 5)
        every = [step * 10.0**power for power in powers for step in steps]
        return [tick for tick in every if self._low <= math.log10(tick) <= self._high]
