"""The cost of a long list of servers in a browser: the CPU time of the page's main thread with 200 and 2,000 tiles.

A real Chromium opens the list of each of two consoles.  The page is made to see its tab as hidden, so that it
requests no pictures.  A script in the page dispatches the event that a server has changed its state.  The CPU time is
that of the ``Performance`` domain of Chromium's DevTools: scripts, styles and layout.
"""

import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from benchmarks.load import LOOPBACK, LoadFailed
from benchmarks.ours import Console, domain
from benchmarks.pages import chromium

SIZES: Final = (200, 2000)

STEPS: Final[Mapping[str, str]] = {
    "draw": "all tiles, from the address",
    "event": "one server changes its state",
    "letter": "one letter of a search",
    "frame": "one frame of scrolling",
    "rest": "one second without anything",
}
"""By key: the title in the table."""

FRAMES: Final = 50

_TIMEOUT: Final = 120_000  # ms

_PREPARE: Final = """
    Object.defineProperty(document, 'hidden', {get: () => true});
    window.EventSource = class extends EventSource {
        constructor(...given) {
            super(...given);
            window.stream = this;
        }
    };
"""

_EVENT: Final = """(id) => {
    const row = {id, name: 'changed', status: 'PAUSED', project: null, host: null};
    stream.dispatchEvent(new MessageEvent('servers', {data: JSON.stringify({changed: [row], removed: []})}));
}"""

_COMPLETE: Final = """(size) => document.querySelectorAll('.tile').length === size
    && document.querySelector('.count').textContent"""

_DRAWN: Final = """async () => {
    for (let count = 0; count < 2; count += 1) await new Promise(requestAnimationFrame);
}"""

_SCROLL: Final = """async (frames) => {
    for (let count = 0; count < frames; count += 1) {
        scrollBy(0, 40);
        await new Promise(requestAnimationFrame);
    }
}"""


class _Long(Console):
    """Many servers without a VNC server.

    :param servers: their number.
    """

    console_types = ()

    def __init__(self, folder: Path, servers: int) -> None:
        super().__init__(1, folder)
        self._servers = servers

    def _domains(self) -> str:
        one = (domain(f"vm-{number:04}", _uuid(number), 40_000) for number in range(self._servers))
        return f"<node>{''.join(one)}</node>"


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, list[float]]]:
    """Return the CPU milliseconds of each round, by step and the number of servers as text.

    :raises Unavailable: Chromium or Playwright is missing.
    :raises LoadFailed: the list did not show what it should.
    """
    values: dict[str, dict[str, list[float]]] = {step: {str(size): [] for size in sizes} for step in STEPS}
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="novnc-twisted-bench-")))
        consoles = {size: _Long(folder / str(size), size) for size in sizes}
        for console in consoles.values():
            stack.callback(console.stop)
            console.start()
        for _ in range(rounds):
            for size, console in consoles.items():
                for step, ms in _visit(browser, f"http://{LOOPBACK}:{console.api_port}/console/", size).items():
                    values[step][str(size)].append(ms)
    return values


def table(values: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return the values as a Markdown table: medians, and the ratios of the last size to the first within one round."""
    if not values:
        return ""
    sizes = list(next(iter(values.values())))
    heads = " | ".join(f"{int(size):,} tiles, CPU ms" for size in sizes)
    lines = [f"| step | {heads} | ratio |", f"|---|{'---|' * len(sizes)}---|"]
    for step, by_size in values.items():
        ratios = [most / least for least, most in zip(by_size[sizes[0]], by_size[sizes[-1]], strict=True) if least]
        spread = f"{statistics.median(ratios):.1f} x ({min(ratios):.1f}..{max(ratios):.1f})" if ratios else ""
        cells = " | ".join(f"{statistics.median(by_size[size]):.3g}" for size in sizes)
        lines.append(f"| {STEPS[step]} | {cells} | {spread} |")
    return "\n".join(lines)


def _uuid(number: int) -> str:
    return str(UUID(int=number + 1, version=4))


def _visit(browser: Any, address: str, size: int) -> dict[str, float]:
    """Return the CPU milliseconds of each step.

    :raises LoadFailed: a step did not end.
    """
    from playwright.sync_api import Error

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        context.add_init_script(_PREPARE)
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def cpu() -> float:
            page.evaluate(_DRAWN)
            metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            return 1000 * float(metrics["TaskDuration"])

        page.goto(address, wait_until="commit")
        page.wait_for_function(_COMPLETE, arg=size, timeout=_TIMEOUT)
        marks = [cpu()]
        page.wait_for_timeout(1000)
        marks.append(cpu())
        page.evaluate(_EVENT, _uuid(0))
        marks.append(cpu())
        if not page.locator(".state[data-state=PAUSED]").count():
            raise LoadFailed("an event changed no tile")
        page.locator("input[name=name]").press("1")
        marks.append(cpu())
        page.locator("input[name=name]").press("Backspace")
        page.wait_for_function(_COMPLETE, arg=size, timeout=_TIMEOUT)
        start = cpu()
        page.evaluate(_SCROLL, FRAMES)
        scrolled = (cpu() - start) / FRAMES
    except Error as trouble:
        raise LoadFailed(f"the list of {size} servers: {str(trouble).splitlines()[0]}") from None
    finally:
        context.close()
    rest, event, letter = (after - before for before, after in pairwise(marks))
    return {"draw": marks[0], "event": event, "letter": letter, "frame": scrolled, "rest": rest}
