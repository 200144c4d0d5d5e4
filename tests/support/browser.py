"""A real Chromium or Firefox that opens a console page, for tests that judge what a person sees::

    async def test_screen(self):
        def steps(page):                 # runs in a thread, may block
            page.wait_painted()
            page.type("ls")
        seen = await with_page(url, steps)
        self.assertEqual(seen.complaints(), [])

A browser takes seconds to start, and a context half a second of processor time.  The process therefore starts one
browser of each kind, and visits with the same options share a context; each has a page of its own.  A blank page keeps
the window of a Chromium's context open, because a window takes a second more than a tab.  Tests share no stored data,
because each has a port, and so an origin, of its own.  A visit that fails ends the context.  A visit with a clock has a
context of its own, because a context keeps its clock.  A visit with flags, or during another visit, starts a Chromium
of its own.
"""

import atexit
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from greenlet import getcurrent
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, sync_playwright
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.support.console_page import TIMEOUT, ConsolePage, Seen, is_advice, is_complaint, is_failure

STUCK = 200.0
"""Seconds after which a visit that still runs prints its stack.  Some calls of Playwright have no time limit."""

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

# Unless a comment says otherwise, these keep Firefox from connecting to other hosts.
PREFERENCES = {
    "app.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "dom.ipc.processCount": 1,  # otherwise, each visit starts a content process
    "dom.ipc.processPrelaunch.enabled": False,
    "extensions.update.enabled": False,
    "fission.autostart": False,  # WebDriver BiDi cannot click in a frame of another process
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}


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


@contextmanager
def chromium_page(flags: tuple[str, ...], program: str | None, options: dict[str, Any]) -> Iterator[Page]:
    """The page of a fresh Chromium."""
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program or chromium(),
            headless=True,
            args=[*FLAGS, *flags],
            timeout=TIMEOUT * 1000,
            **options,
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
    def page(self, options: dict[str, Any], *, own: bool = False) -> Iterator[Page]:
        """A fresh page, in a context with these options.  Call this in the thread.

        :param own: whether to use a context for this visit only.
        """
        if self._browser is None or not self._browser.is_connected():
            self._playwright = self._playwright or sync_playwright().start()
            self._browser = self._launch(self._playwright)
            self._contexts.clear()
        if own:
            with self._browser.new_context(**options) as context:
                yield context.new_page()
            return
        key = json.dumps(options, sort_keys=True)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = self._browser.new_context(**options)
            if self._browser.browser_type.name == "chromium":
                context.new_page()
        try:
            kept = len(context.pages)
            page = context.new_page()
            yield page
            # A window that stays open would go on, and could connect to a later test's server at the same address.
            for each in context.pages[kept:]:
                each.close()
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
        closed.wait(TIMEOUT)


def launch_chromium(playwright: Playwright) -> Browser:
    """Start Chromium."""
    return playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS, timeout=TIMEOUT * 1000)


# Firefox cannot emulate phones.  These give it a touch screen and no mouse; `tests.web.synthetic_touch` touches it.
FINGER = {
    "dom.maxtouchpoints.testing.value": 5,
    "dom.w3c_touch_events.enabled": 1,
    "ui.allPointerCapabilities": 1,
    "ui.primaryPointerCapabilities": 1,
}


def launch_firefox(playwright: Playwright, **more: int) -> Browser:
    """Start Firefox behind `firefox_bidi`, which answers the commands that it does not know.

    :param more: further preferences.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "firefox"
        start.write_text(f'#!/bin/sh\nexec {sys.executable} {BIDI} {firefox()} "$@"\n')
        start.chmod(0o755)
        return playwright.firefox.launch(
            channel="moz-firefox",
            executable_path=str(start),
            headless=True,
            firefox_user_prefs=PREFERENCES | more,
            timeout=TIMEOUT * 1000,
        )


SHARED = {
    "chromium": SharedBrowser("chromium", launch_chromium),
    "firefox": SharedBrowser("firefox", launch_firefox),
    "firefox-phone": SharedBrowser("firefox-phone", lambda playwright: launch_firefox(playwright, **FINGER)),
}


def visit(
    url: str,
    steps: Callable[[ConsolePage], Any],
    *,
    shared: SharedBrowser | None = None,
    size: tuple[int, int] = (1280, 800),
    flags: tuple[str, ...] = (),
    program: str | None = None,
    script: str = "",
    clock: bool = False,
    **options: Any,
) -> Seen:
    """Open a page, run the steps, and close it again.  Blocks.

    :param shared: the browser to use, if this is called in its thread; None: a fresh Chromium.
    :param size: size of the window, in CSS pixels.
    :param flags: further flags for Chromium.
    :param program: the path of the Chromium to start; None: the machine's.
    :param script: runs in the page before its own scripts.
    :param clock: whether the steps move the time of the page on, with Playwright's ``page.clock``.
    :param options: further arguments of Playwright's ``new_context``, such as ``has_touch``.
    """
    seen = Seen()

    def failed(request: Request) -> None:
        if is_failure(request):
            seen.failures.append(f"failed ({request.failure}): {request.url}")

    options["viewport"] = {"width": size[0], "height": size[1]}
    with chromium_page(flags, program, options) if shared is None else shared.page(options, own=clock) as page:
        page.on("console", lambda m: seen.console.append(m.text) if is_complaint(m) else None)
        page.on("pageerror", lambda error: None if is_advice(str(error)) else seen.console.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("websocket", lambda socket: seen.requests.append(socket.url))
        page.on("requestfailed", failed)
        page.on(
            "response",
            lambda answer: seen.failures.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None,
        )
        page.add_init_script(script)
        if clock:
            page.clock.install()
        page.context.set_default_timeout(TIMEOUT * 1000)
        page.goto(url)
        seen.result = steps(ConsolePage(page, seen))
        page.remove_listener("requestfailed", failed)  # requests that are under way fail when the page is closed
    return seen


async def with_page(
    url: str, steps: Callable[[ConsolePage], Any], *, browser: str = "chromium", **options: Any
) -> Seen:
    """Run `visit` in a thread, so that the reactor can serve the page meanwhile.

    :param browser: chromium, firefox or firefox-phone.
    """
    shared = SHARED[browser]
    alone = browser == "chromium" and bool(shared.busy or options.keys() & {"flags", "program"})
    places: list[Any] = []

    def work() -> Seen:
        places.append(getcurrent())  # Playwright's calls switch to another greenlet of the thread
        return visit(url, steps, shared=None if alone else shared, **options)

    def stuck() -> None:
        for place in places:
            stack = "".join(traceback.format_stack(place.gr_frame))
            sys.stderr.write(f"The visit to {url} still runs after {STUCK:.0f} s.  Its stack:\n{stack}")

    report = reactor.callLater(STUCK, stuck)  # type: ignore[attr-defined]
    try:
        return await (deferToThread(work) if alone else shared.run(work))
    finally:
        if report.active():
            report.cancel()
