"""Measure the time from the link to the picture, with a real Chromium, and a real QEMU behind the proxy."""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.nova.harness import instance_name
from tests.support.browser import launch_chromium
from tests.support.console_page import PAINTED
from tests.support.vm import SmallVM

LIMIT = 60_000
"""Milliseconds to wait for a picture."""


def pictures(kinds: tuple[Any, ...], server: dict[str, Any], rounds: int) -> dict[str, float]:
    """Open links of one server through each proxy in turn; return the median in milliseconds for each proxy's name.

    Each proxy serves the same page.

    :param kinds: classes of :class:`tests.nova.bench.NovaConfProxy`.
    :param server: the server, as an administrator sees it.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        vm = SmallVM(Path(folder) / "vm", more=("-name", instance_name(server)))
        vm.start()
        browser = launch_chromium(playwright)
        proxies = [kind(vm.port, Path(folder) / kind.__name__) for kind in kinds]
        try:
            for proxy in proxies:
                proxy.start()
            times: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
            context = browser.new_context()
            for turn in range(rounds + 1):
                for proxy in proxies:
                    url = f"http://127.0.0.1:{proxy.port}/vnc_lite.html?token={proxy.token()}"
                    page = context.new_page()
                    taken = picture(page, url)
                    page.close()
                    if turn:  # the first visit only fills the caches of the browser and of the proxy
                        times[proxy.name].append(taken)
            return {name: median(taken) for name, taken in times.items()}
        finally:
            for proxy in proxies:
                proxy.stop()
            browser.close()
            vm.stop()


def picture(page: Page, url: str) -> float:
    """Open a link; return the milliseconds until its canvas shows something."""
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.wait_for_function(PAINTED, timeout=LIMIT)
    return (time.monotonic() - began) * 1e3
