"""The test case of the page: a browser, and a small server that the test controls."""

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.support.browser import Seen, with_page
from tests.web.fake_console import FakeConsole
from tests.web.steps import Steps

ASKS = {0, 2, 3}
"""SetPixelFormat, SetEncodings and FramebufferUpdateRequest, the only messages of a view-only viewer."""


class PageTest(Steps, TestCase):
    """A page in Chromium.  A subclass with another ``browser`` runs the same tests there."""

    timeout = 300
    browser = "chromium"

    def setUp(self):
        self.console = FakeConsole(reactor)
        self.addCleanup(self.console.stop)

    async def visit(self, steps, query="token=T", page="vnc_auto.html", **options) -> Seen:
        """Open the page of the small server, and run the steps in a thread."""
        return await with_page(self.console.url(query, page), steps, browser=self.browser, **options)

    async def visit_cleanly(self, steps, query="token=T", **options) -> Seen:
        """The same, and check that neither the page nor the browser complained."""
        seen = await self.visit(steps, query, **options)
        self.assertEqual(seen.complaints(), [])
        return seen
