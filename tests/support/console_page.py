"""The console page in a tab of a browser: what a test does there, and what the page printed and requested."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

TIMEOUT = 60.0
"""Seconds after which a step that waits for the page fails."""

# The canvas is read through a copy: Chromium prints advice to the console about a canvas that is read directly.
READ = """
    const canvas = document.querySelector('canvas');
    if (!canvas || !canvas.width || !canvas.height) return null;
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
"""

OFTEN, SOON = 50, 20
"""Milliseconds between two polls of a page.

By default, Playwright polls at each frame.  For that, the browser draws 60 frames a second, which costs a fifth of a
processor.  `SOON`, about one frame, is for texts that the page may show only briefly.
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

# Finds a text and returns it in one step, because the page may show it only briefly.
SAID = """(words) => {
    const plain = (text) => text.replace(/\\s+/g, ' ').trim().toLowerCase();
    return [...document.querySelectorAll('[role=alert], [role=status]')].find(
        (each) => plain(each.textContent).includes(plain(words)) && each.checkVisibility({ visibilityProperty: true })
            && each.getBoundingClientRect().width && each.getBoundingClientRect().height,
    )?.innerText;
}"""


@dataclass
class Seen:
    """The record of a visit: what the page printed and requested."""

    console: list[str] = field(default_factory=list)
    """Console messages of level warning and error, and uncaught exceptions."""
    requests: list[str] = field(default_factory=list)
    """Addresses of every request and WebSocket."""
    failures: list[str] = field(default_factory=list)
    """Requests that failed, or were answered with 400 or more."""
    result: Any = None
    """What the steps returned."""

    def hosts(self) -> set[str]:
        """The hosts of all requests (data: and blob: addresses have no host)."""
        return {host for url in self.requests if (host := urlsplit(url).hostname)}

    def complaints(self) -> list[str]:
        """Everything that must not happen in a clean visit: console errors, policy violations, failed requests."""
        return self.console + self.failures


def is_advice(text: str) -> bool:
    """Whether a message is the browser's advice, and no complaint about the page.

    noVNC reads its canvas at each change of the screen's size (core/display.js).  Chromium gives advice about that when
    the size has changed several times, which depends on how a guest starts.  Firefox reports a WebSocket that is still
    open, or being closed, when a test leaves the page; to Playwright, that is an uncaught exception.
    """
    return any(words in text for words in ("willReadFrequently", "was interrupted while the page was loading"))


def is_complaint(message: Any) -> bool:
    """Whether a message on the page's console is a warning or an error of the page."""
    return message.type in ("warning", "error") and not is_advice(message.text)


def is_failure(request: Any) -> bool:
    """Whether a request that ended without an answer is a failure of the page.

    An aborted request is not one: when a test leaves the page, the browser aborts whatever is under way, such as
    pictures, events, and the icon, which it may request at any time.
    """
    return "ABORT" not in (request.failure or "")


class ConsolePage:
    """One tab with the console page.  Its methods block: use them in a thread."""

    def __init__(self, page: Page, seen: Seen) -> None:
        self.page = page
        self.seen = seen

    def wait_painted(self, timeout: float = TIMEOUT) -> None:
        """Wait until the first canvas of the document shows something other than black."""
        self.page.wait_for_function(PAINTED, polling=OFTEN, timeout=timeout * 1000)

    def wait_said(self, words: str, timeout: float = TIMEOUT) -> str:
        """Wait until an element with role alert or status shows these words; return its text."""
        said = self.page.wait_for_function(SAID, arg=words, polling=SOON, timeout=timeout * 1000)
        return str(said.json_value())

    def wait_title(self, words: str, timeout: float = TIMEOUT) -> str:
        """Wait until the title holds these words; return it."""
        self.page.wait_for_function(
            "(words) => document.title.includes(words)", arg=words, polling=OFTEN, timeout=timeout * 1000
        )
        return self.page.title()

    def type(self, text: str) -> None:
        """Press the keys of a text, wherever the focus is.  QEMU reads scan codes: for capitals use `press`."""
        self.page.keyboard.type(text)

    def press(self, keys: str) -> None:
        """Press a key or a combination, as in ``Shift+H``."""
        self.page.keyboard.press(keys)

    def size(self) -> tuple[int, int]:
        """Width and height of the server's screen, in its pixels; 0, 0 before the first picture."""
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
        """Write a screenshot as a PNG file."""
        self.page.screenshot(path=str(path), animations="disabled")
