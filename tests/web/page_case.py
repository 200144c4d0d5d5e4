"""What the tests of the page share: a page in a browser, and a small server that does as the test says."""

from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from tests.support.browser import Seen, with_page
from tests.web.fake_console import FakeConsole

SHIFT, CTRL, ALT, DELETE, ENTER, TAB, ESCAPE, F2 = 0xFFE1, 0xFFE3, 0xFFE9, 0xFFFF, 0xFF0D, 0xFF09, 0xFF1B, 0xFFBF
ASKS = {0, 2, 3}
"""SetPixelFormat, SetEncodings and FramebufferUpdateRequest: what a viewer sends that only looks."""


def taps(*keysyms):
    return [event for keysym in keysyms for event in ((keysym, True), (keysym, False))]


def held(events, *modifiers):
    return [*((key, True) for key in modifiers), *events, *((key, False) for key in reversed(modifiers))]


class PageTest(TestCase):
    """A page in Chromium. A subclass with another ``browser`` runs the same tests there."""

    timeout = 300
    browser = "chromium"

    def setUp(self):
        self.console = FakeConsole(reactor)
        self.addCleanup(self.console.stop)

    async def visit(self, steps, query="token=T", page="vnc_auto.html", **options) -> Seen:
        """Open the page of the small server, and run the steps."""
        return await with_page(self.console.url(query, page), steps, browser=self.browser, **options)

    def drop(self):
        """Cut every connection without a word, as a broken network does; from the thread of the steps."""
        blockingCallFromThread(reactor, lambda: [viewer.transport.abortConnection() for viewer in self.console.viewers])

    def wait(self, page, condition):
        """Wait until the condition holds, or for 20 s; gives whether it does."""
        for _ in range(800):
            if condition():
                return True
            page.page.wait_for_timeout(25)
        return False

    def wait_keys(self, page, expected):
        """Wait until the server has got these key events, and no others."""
        self.wait(page, lambda: len(self.console.keys()) >= len(expected))
        self.assertEqual(self.console.keys(), expected)

    def wait_viewers(self, page, count):
        """Wait until so many connections of the page have come."""
        self.wait(page, lambda: len(self.console.viewers) >= count)
        self.assertGreaterEqual(len(self.console.viewers), count)

    def refuse(self, row):
        self.console.refusal = lambda params: (row.close_code, row.sentence)
