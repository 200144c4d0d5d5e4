"""The figures of the README: a few rows of the published report, put there by ``--publish``."""

import re
from pathlib import Path

COLUMNS = {
    "ours": "novnc_twisted",
    "nova": "nova-novncproxy",
    "websockify": "websockify",
    "haproxy": "HAProxy, raw TCP",
}
"""The names of the proxies in the report, and the headings of their columns."""

LINES = {
    "bulk": ("CPU for 1 GB of pictures", "s"),
    "round-trip": ("CPU for a key and its answer", "µs"),
    "set-up": ("CPU to set up a session", "ms"),
    "memory": ("Memory of each of 500 sessions", "KiB"),
    "slow": ("Growth of memory while one viewer does not read", "MiB"),
}
"""The rows of the report, with title and unit; of each, the first metric is shown."""

BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def figures(report: str) -> str:
    """The table, in Markdown.

    :param report: the text of ``docs/performance/latest.md``.
    :raises KeyError: a row, or one of its proxies, is missing.
    """
    rows = [["", *COLUMNS.values()], ["---"] * (len(COLUMNS) + 1)]
    for name, (title, unit) in LINES.items():
        values = _first_column(report, name)
        rows.append([title, *(f"{values[proxy]} {unit}" for proxy in COLUMNS)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def missing(report: str) -> list[str]:
    """Return the rows, and the proxies of rows, that the table needs and the report lacks."""
    found: list[str] = []
    for row in LINES:
        try:
            values = _first_column(report, row)
        except KeyError:
            found.append(row)
        else:
            found += [f"{row} of {proxy}" for proxy in COLUMNS if proxy not in values]
    return found


def update(readme: Path, report: str) -> None:
    """Replace the table in the README."""
    text = readme.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    readme.write_text(text[:begin] + figures(report) + text[end:])


def _first_column(report: str, row: str) -> dict[str, str]:
    """The medians of the first metric of a row, by proxy."""
    section = re.search(rf"^### .* \({row}\)\n(.*?)(?=^#|\Z)", report, re.M | re.S)
    if section is None:
        raise KeyError(row)
    return dict(re.findall(r"^\| ([^|]+) \| ([\d.]+)", section[1], re.M))
