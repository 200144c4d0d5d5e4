"""A real Chromium that opens a console page: for every test that wants to see what a person would see.

async def test_screen(self):
    def steps(page):                 # runs in a thread, may block
        page.wait_painted()
        page.type("ls")
    seen = await with_page(url, steps)
    self.assertEqual(seen.complaints(), [])
"""

import base64
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright
from twisted.internet.threads import deferToThread

PATIENCE = 20.0
"""Seconds after which a step that waits for the page gives up: an upper bound, not a pace."""

# What keeps Chromium from talking to anybody but the page, and lets it run as root.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Read through a copy: a canvas that is read itself makes Chromium advise on it in the console.
READ = """
    const canvas = document.querySelector('canvas');
    if (!canvas || !canvas.width || !canvas.height) return null;
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
"""
PAINTED = f"""() => {{ {READ}
    const {{data}} = copy.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) if (data[i] || data[i + 1] || data[i + 2]) return true;
    return false;
}}"""
PIXEL = f"([x, y]) => {{ {READ} return [...copy.getImageData(x, y, 1, 1).data]; }}"
PIXELS = f"""() => {{ {READ}
    const {{data}} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let text = '';
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    return btoa(text);
}}"""


def chromium() -> str:
    """The path of the machine's Chromium; FileNotFoundError says what to install."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise FileNotFoundError("no Chromium found: apt-get install chromium, or set CHROMIUM to its path")
    return found


@dataclass
class Seen:
    """What a visit left: everything the page said and asked for."""

    console: list[str] = field(default_factory=list)
    """Console messages of level warning and error, and uncaught exceptions."""
    requests: list[str] = field(default_factory=list)
    """Addresses of every request and WebSocket."""
    failures: list[str] = field(default_factory=list)
    """Requests that failed, or were answered with 400 or more."""
    result: Any = None
    """What the steps returned."""

    def hosts(self) -> set[str]:
        """The hosts that were asked for anything (data: and blob: addresses have none)."""
        return {host for url in self.requests if (host := urlsplit(url).hostname)}

    def complaints(self) -> list[str]:
        """Everything that a clean visit has not: console errors, policy violations, failed requests."""
        return self.console + self.failures


class ConsolePage:
    """One tab with the console page.  Its methods block: use them in a thread."""

    def __init__(self, page: Page, seen: Seen) -> None:
        self.page = page
        self.seen = seen

    def wait_painted(self, timeout: float = PATIENCE) -> None:
        """Wait until the first canvas of the document shows something other than black."""
        self.page.wait_for_function(PAINTED, timeout=timeout * 1000)

    def wait_said(self, words: str, timeout: float = PATIENCE) -> str:
        """Wait until an element with role alert or status shows these words; return its text."""
        said = self.page.locator("[role=alert], [role=status]").filter(has_text=words).first
        said.wait_for(state="visible", timeout=timeout * 1000)
        return said.inner_text()

    def wait_title(self, words: str, timeout: float = PATIENCE) -> str:
        """Wait until the title holds these words; return it."""
        self.page.wait_for_function("(words) => document.title.includes(words)", arg=words, timeout=timeout * 1000)
        return self.page.title()

    def type(self, text: str) -> None:
        """Press the keys of a text, wherever the focus is.  QEMU goes by scan code: for capitals use `press`."""
        self.page.keyboard.type(text)

    def press(self, keys: str) -> None:
        """Press a key or a combination, as in ``Shift+H``."""
        self.page.keyboard.press(keys)

    def size(self) -> tuple[int, int]:
        """Width and height of the server's screen, in its pixels; 0, 0 while there is none."""
        width, height = self.page.evaluate(
            "() => { const c = document.querySelector('canvas'); return c ? [c.width, c.height] : [0, 0]; }"
        )
        return width, height

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """Red, green and blue of one pixel of the server's screen."""
        red, green, blue, _ = self.page.evaluate(PIXEL, [x, y])
        return red, green, blue

    def pixels(self) -> bytes:
        """The whole screen of the server as RGBA, row by row."""
        return base64.b64decode(self.page.evaluate(PIXELS))

    def screenshot(self, path: str | Path) -> None:
        """Write what a person sees as a PNG file."""
        self.page.screenshot(path=str(path), animations="disabled")


def visit(
    url: str,
    steps: Callable[[ConsolePage], Any],
    *,
    size: tuple[int, int] = (1280, 800),
    flags: tuple[str, ...] = (),
    program: str | None = None,
    **context: Any,
) -> Seen:
    """Open a page in a fresh browser, run the steps, and close it again.  Blocks.

    :param size: of the window, in CSS pixels.
    :param flags: further flags for Chromium.
    :param program: what starts Chromium; None: the machine's own.
    :param context: further arguments of Playwright's ``new_context``, as ``has_touch``.
    """
    seen = Seen()
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program or chromium(),
            headless=True,
            args=[*FLAGS, *flags],
            viewport={"width": size[0], "height": size[1]},
            **context,
        )
        try:
            page = browser.pages[0]
            page.on("console", lambda m: seen.console.append(m.text) if m.type in ("warning", "error") else None)
            page.on("pageerror", lambda error: seen.console.append(str(error)))
            page.on("request", lambda request: seen.requests.append(request.url))
            page.on("websocket", lambda socket: seen.requests.append(socket.url))
            page.on("requestfailed", lambda request: seen.failures.append(f"failed: {request.url}"))
            page.on(
                "response",
                lambda answer: seen.failures.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None,
            )
            page.goto(url)
            seen.result = steps(ConsolePage(page, seen))
        finally:
            browser.close()
    return seen


async def with_page(url: str, steps: Callable[[ConsolePage], Any], **options: Any) -> Seen:
    """As `visit`, in a thread, so that the reactor serves the page meanwhile."""
    return await deferToThread(visit, url, steps, **options)
