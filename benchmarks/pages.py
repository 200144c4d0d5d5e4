"""How long people wait for a page: the first tile of the list, and the first picture of the console.

A real Chromium opens the list of 50 servers, our console page, and the page of stock noVNC, in one run and with an
empty cache each time.  A second instance of our proxy serves the page of stock noVNC.  The screen is that of a QEMU
without a disk.  The time runs from the navigation to the first thumbnail, or to the first canvas that is not black.
Chromium's DevTools emulate the slow link.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from benchmarks.load import LOOPBACK, LoadFailed, Unavailable, free_port, wait_for_port
from benchmarks.ours import Console, domain

STOCK: Final = Path(os.environ.get("STOCK_NOVNC", "/usr/share/novnc"))
"""The folder of stock noVNC, of Debian's package novnc."""

SERVERS: Final = 50

LINKS: Final[Mapping[str, Mapping[str, float] | None]] = {
    "quiet machine": None,
    "1.6 Mbit/s, 150 ms": {"latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 200_000},
}
"""By title: the arguments of Chromium's Network.emulateNetworkConditions; None: no limit."""

PAGES: Final = ("list, first tile", "console, first picture", "stock noVNC, first picture")

_TIMEOUT: Final = 60_000  # ms
_TILE: Final = "document.querySelector('.tile img:not([hidden])')?.complete"
_PICTURE: Final = """(() => {
    const canvas = document.querySelector('canvas');
    if (!canvas?.width) return false;
    const small = new OffscreenCanvas(64, 48).getContext('2d', {willReadFrequently: true});
    small.drawImage(canvas, 0, 0, 64, 48);
    // Stock noVNC's canvas has a picture of its own before the first one of the server, in 300 x 150.
    return canvas.width > 300 && small.getImageData(0, 0, 64, 48).data.some((each, at) => at % 4 < 3 && each > 0);
})()"""


class _List(Console):
    """Fifty servers, of which the first has QEMU's display."""

    def _domains(self) -> str:
        others = [domain(f"vm-{number:02}", str(uuid4()), 40_000 + number) for number in range(1, SERVERS)]
        return f"<node>{domain('vm-00', self._uuid, self.backend)}{''.join(others)}</node>"

    def address(self) -> str:
        """A new link of the first server."""
        return f"http://{LOOPBACK}:{self.port}/vnc_lite.html?{self._query('novnc')}"


class _Stock(_List):
    """The same with the page of stock noVNC."""

    def _nova_conf(self, scheme: str = "http", default: str = "") -> str:
        return super()._nova_conf(scheme, f"web = {STOCK}")


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each round, by the title of the link and the page.

    :raises Unavailable: Chromium, QEMU, Playwright or stock noVNC is missing.
    :raises LoadFailed: a page showed nothing.
    """
    for missing, found in (
        ("qemu-system-x86_64", shutil.which("qemu-system-x86_64")),
        (f"{STOCK}/vnc_lite.html (Debian's package novnc)", (STOCK / "vnc_lite.html").exists()),
    ):
        if not found:
            raise Unavailable(f"{missing} is not installed")
    values: dict[str, dict[str, list[float]]] = {link: {page: [] for page in PAGES} for link in LINKS}
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        from playwright.sync_api import Error

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="novnc-twisted-bench-")))
        screen = stack.enter_context(_qemu())
        ours, stock = _List(screen, folder / "ours"), _Stock(screen, folder / "stock")
        for proxy in (ours, stock):
            stack.callback(proxy.stop)
            proxy.start()
        for _ in range(rounds):
            for link, limits in LINKS.items():
                visits = (
                    (PAGES[0], f"http://{LOOPBACK}:{ours.api_port}/console/", _TILE),
                    (PAGES[1], ours.address(), _PICTURE),
                    (PAGES[2], stock.address(), _PICTURE),
                )
                for page, address, shown in visits:
                    try:
                        values[link][page].append(_visit(browser, address, shown, limits))
                    except Error as trouble:
                        raise LoadFailed(f"{page}, {link}: {str(trouble).splitlines()[0]}") from None
    return values


def table(values: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return the values as a Markdown table: medians, and ratios within one round."""
    if not values:
        return ""
    lines = ["| page | link | s | ratio to stock noVNC's first picture |", "|---|---|---|---|"]
    for link, pages in values.items():
        stock = pages[PAGES[2]]
        for page, seconds in pages.items():
            ratios = [mine / theirs for mine, theirs in zip(seconds, stock, strict=True)]
            spread = f"{statistics.median(ratios):.2f} x ({min(ratios):.2f}..{max(ratios):.2f})"
            lines.append(f"| {page} | {link} | {statistics.median(seconds):.2f} | {spread} |")
    return "\n".join(lines)


def _visit(browser: Any, address: str, shown: str, limits: Mapping[str, float] | None) -> float:
    """Return the seconds from the navigation until ``shown`` holds, in a context without a cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        if limits is not None:
            session = context.new_cdp_session(page)
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", {"offline": False, **limits})
        page.goto(address, wait_until="commit")
        # Checked at each frame, and timed by the page's own clock, which begins with the navigation.
        wait = f"() => {shown} ? performance.now() : 0"
        return float(page.wait_for_function(wait, polling="raf", timeout=_TIMEOUT).json_value()) / 1000
    finally:
        context.close()


@contextmanager
def chromium() -> Iterator[Any]:
    """Run a Chromium; yield Playwright's browser.

    :raises Unavailable: Chromium or Playwright is missing.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    for missing, found in (("chromium", program), ("playwright", find_spec("playwright"))):
        if not found:
            raise Unavailable(f"{missing} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _qemu() -> Iterator[int]:
    """Run a QEMU whose screen shows what its BIOS writes; yield the port of its display."""
    port = free_port()
    command = ["qemu-system-x86_64", "-nodefaults", "-vga", "std", "-m", "32", "-net", "none", "-vnc"]
    process = subprocess.Popen([*command, f"{LOOPBACK}:{port - 5900}"], stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)
