"""A real Chromium or Firefox that opens a console page, for tests that judge what a person sees::

    async def test_screen(self):
        def steps(page):                 # runs in a thread, may block
            page.wait_painted()
            page.type("ls")
        seen = await with_page(url, steps)
        self.assertEqual(seen.complaints(), [])

A browser takes seconds to start, and a context half a second of processor time.  The process therefore starts one
browser of each kind, and visits with the same options share a context; each has a page of its own.  What a page keeps
belongs to its origin, and each test has a port of its own.  A visit that fails ends the context.  A visit with flags,
or during another visit, starts a Chromium for itself.
"""

import atexit
import base64
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

PATIENCE = 20.0
"""Seconds after which a step that waits for the page fails."""

# These keep Chromium from connecting to other hosts, and let it run as root.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

BIDI = Path(__file__).with_name("firefox_bidi.py")

# These keep Firefox from connecting to other hosts, if nothing else is said.
PREFERENCES = {
    "app.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.update.enabled": False,
    "fission.autostart": False,  # WebDriver BiDi cannot click in a frame of another process
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}

# The canvas is read through a copy: Chromium prints advice to the console about a canvas that is read directly.
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
    """The path of the machine's Chromium.

    :raises FileNotFoundError: it is not installed.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise FileNotFoundError("no Chromium found: apt-get install chromium, or set CHROMIUM to its path")
    return found


def firefox() -> str:
    """The path of the machine's Firefox.

    :raises FileNotFoundError: it is not installed.
    """
    found = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        raise FileNotFoundError("no Firefox found: apt-get install firefox-esr, or set FIREFOX to its path")
    return found


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


def is_complaint(message: Any) -> bool:
    """Whether a message on the page's console is a warning or an error of the page.

    noVNC reads its canvas at each change of the screen's size (core/display.js).  Chromium gives advice about that when
    the size has changed several times, which depends on how a guest starts.
    """
    return message.type in ("warning", "error") and "willReadFrequently" not in message.text


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
        """Press the keys of a text, wherever the focus is.  QEMU reads scan codes: for capitals use `press`."""
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
        """Write a screenshot as a PNG file."""
        self.page.screenshot(path=str(path), animations="disabled")


@contextmanager
def chromium_page(flags: tuple[str, ...], program: str | None, options: dict[str, Any]) -> Iterator[Page]:
    """The page of a fresh Chromium."""
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program or chromium(), headless=True, args=[*FLAGS, *flags], **options
        )
        try:
            yield context.pages[0]
        finally:
            context.close()


class SharedBrowser:
    """A browser of this process, and the only thread that may use it, as Playwright's blocking interface requires.

    :ivar busy: whether a visit is under way.
    """

    def __init__(self, name: str, launch: Callable[[Playwright], Browser]) -> None:
        self.busy = False
        self._name = name
        self._launch = launch
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]]] = SimpleQueue()
        self._thread: Thread | None = None
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._contexts: dict[str, BrowserContext] = {}

    def run(self, function: Callable[[], Any]) -> "Deferred[Any]":
        """Call a function in the thread; return its result."""
        if self._thread is None:
            # Not a thread of the reactor, and not ended by its shutdown: trial's workers stop it after every test.
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
            atexit.register(self._stop)
        result: Deferred[Any] = Deferred()
        self.busy = True

        def done(outcome: Any) -> None:
            self.busy = False
            result.callback(outcome)

        self._jobs.put((function, lambda outcome: reactor.callFromThread(done, outcome)))
        return result

    def _work(self) -> None:
        while True:
            function, done = self._jobs.get()
            try:
                outcome = function()
            except BaseException:
                outcome = Failure()
            done(outcome)

    @contextmanager
    def page(self, options: dict[str, Any]) -> Iterator[Page]:
        """A fresh page, in a context with these options; to be called in the thread."""
        if self._browser is None or not self._browser.is_connected():
            self._playwright = self._playwright or sync_playwright().start()
            self._browser = self._launch(self._playwright)
            self._contexts.clear()
        key = json.dumps(options, sort_keys=True)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._browser.new_context(**options)
        try:
            page = context.new_page()
            yield page
            page.close()
        except BaseException:
            del self._contexts[key]
            context.close()
            raise

    def _close(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()

    def _stop(self) -> None:
        closed = Event()
        self._jobs.put((self._close, lambda _: closed.set()))
        closed.wait(PATIENCE)


def launch_chromium(playwright: Playwright) -> Browser:
    """Start Chromium."""
    return playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)


def launch_firefox(playwright: Playwright) -> Browser:
    """Start Firefox behind `firefox_bidi`, which answers the commands that it does not know."""
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "firefox"
        start.write_text(f'#!/bin/sh\nexec {sys.executable} {BIDI} {firefox()} "$@"\n')
        start.chmod(0o755)
        return playwright.firefox.launch(
            channel="moz-firefox", executable_path=str(start), headless=True, firefox_user_prefs=PREFERENCES
        )


SHARED = {
    "chromium": SharedBrowser("chromium", launch_chromium),
    "firefox": SharedBrowser("firefox", launch_firefox),
}


def visit(
    url: str,
    steps: Callable[[ConsolePage], Any],
    *,
    shared: SharedBrowser | None = None,
    size: tuple[int, int] = (1280, 800),
    flags: tuple[str, ...] = (),
    program: str | None = None,
    **options: Any,
) -> Seen:
    """Open a page, run the steps, and close it again.  Blocks.

    :param shared: the browser to use, if this is called in its thread; None: a fresh Chromium.
    :param size: size of the window, in CSS pixels.
    :param flags: further flags for Chromium.
    :param program: the path of the Chromium to start; None: the machine's.
    :param options: further arguments of Playwright's ``new_context``, such as ``has_touch``.
    """
    seen = Seen()
    options["viewport"] = {"width": size[0], "height": size[1]}
    with chromium_page(flags, program, options) if shared is None else shared.page(options) as page:
        page.on("console", lambda m: seen.console.append(m.text) if is_complaint(m) else None)
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
    return seen


async def with_page(
    url: str, steps: Callable[[ConsolePage], Any], *, browser: str = "chromium", **options: Any
) -> Seen:
    """Run `visit` in a thread, so that the reactor can serve the page meanwhile.

    :param browser: chromium or firefox.
    """
    shared = SHARED[browser]
    if browser == "chromium" and (shared.busy or options.keys() & {"flags", "program"}):
        return await deferToThread(visit, url, steps, **options)
    return await shared.run(lambda: visit(url, steps, shared=shared, **options))
