"""The clipboard limits of the operator: judged by what each side received, and by what the page says."""

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.rfb.clipboard import ClipboardLimits
from novnc_twisted.session.settings import SessionSettings
from tests.rfb.test_clipboard import text
from tests.session.test_channel import FakePeople
from tests.support.axe import OPPOSITES, Axe
from tests.support.browser import with_page
from tests.support.vnc_server import FakeVNCServer
from tests.web.steps import Steps

CUT_TEXT = 6
BELL = b"\2"
WATCH_BELL = """
    const notice = document.getElementById('notice');
    new MutationObserver(() => { window.rang ||= notice.textContent; }).observe(notice, {childList: true});
"""


def cut_texts(live):
    """The texts that a VNC server has received for its clipboard."""
    return [message[8:] for kind, message in live.messages if kind == CUT_TEXT]


class ClipboardLimitsTest(Steps, TestCase):
    timeout = 300
    browser = "chromium"

    def start(self, limits, **services):
        """Return a VNC server, and the address of its console page."""
        server = FakeVNCServer()
        vnc = reactor.listenTCP(0, server, interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)

        async def authorise(token, console_type, client_address):
            return ConnectInfo(host="127.0.0.1", port=vnc.getHost().port, name="myserver20")

        factory = NoVNCProxyFactory(reactor, authorise, settings=SessionSettings(clipboard=limits), **services)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, factory.stop_sessions)
        return server, f"http://127.0.0.1:{port.getHost().port}/vnc_auto.html?token=T"

    def rings(self, page, server, data=b""):
        """Let the VNC server send data and ring its bell, wait until the page has read it, and return its connection.

        The page then also knows its rights, which the proxy sends first.
        """
        live = blockingCallFromThread(reactor, server.live.get)
        page.page.evaluate(WATCH_BELL)
        blockingCallFromThread(reactor, live.transport.write, data + BELL)
        page.page.wait_for_function("() => window.rang")
        return live

    async def test_longer_texts_do_not_pass(self):
        """In each direction one text passes, and one is too long; the page has no channel, and knows no limits."""
        server, address = self.start(ClipboardLimits(to_server=5, from_server=4))

        def steps(page):
            page.wait_said("Connected")
            page.page.click("#clipboard")
            for words in ("hello!", "hello"):
                page.page.fill("#outgoing", words)
                page.page.click("#send")
            live = self.rings(page, server, text(b"four") + text(b"a secret"))
            self.assertEqual(page.page.input_value("#incoming"), "four")
            self.wait(page, lambda: cut_texts(live))  # a page that closes may lose it
            self.assertEqual(cut_texts(live), [b"hello"])

        seen = await with_page(address, steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def visit(self, limits, steps):
        """Open the clipboard panel of a page that knows the limits, and run the steps with the server's connection."""
        server, address = self.start(limits, people=FakePeople())

        def visit(page):
            page.wait_said("Connected")
            live = self.rings(page, server)
            page.page.click("#clipboard")
            steps(page, live)

        seen = await with_page(address, visit, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def check_notes(self, limit, **texts):
        """Send each text to the server's clipboard, and check what the page says."""

        def steps(page, _live):
            for words, expected in texts.items():
                page.page.fill("#outgoing", words)
                page.page.click("#send")
                self.assertIn(expected, page.page.inner_text("#typing"))
            self.assertFalse(page.page.locator("#to-barred").is_visible())

        await self.visit(ClipboardLimits(to_server=limit), steps)

    async def test_the_page_says_why_a_text_is_not_sent(self):
        await self.check_notes(5, hello="Sent.", goodbye="7 bytes of 5 at most")
        await self.check_notes(-1, goodbye="Sent.")

    async def test_no_text_to_the_server(self):
        """The page says so in advance; typing as keystrokes still works."""

        def typed(live):
            return "".join(chr(message[7]) for kind, message in live.messages if kind == 4 and message[1])

        def steps(page, live):
            page.page.get_by_text("The operator does not allow copying to the server.").wait_for()
            self.assertTrue(page.page.is_disabled("#send"))
            axe = Axe(page.page)
            axe.examine("no text to the server", OPPOSITES)
            self.assertEqual(axe.found, [])
            page.page.fill("#outgoing", "ab")
            self.assertEqual(page.page.inner_text("#typing"), "")
            page.page.click("#type")
            page.wait_said("Typed.")
            self.wait(page, lambda: len(typed(live)) >= 2)
            self.assertEqual((typed(live), cut_texts(live)), ("ab", []))

        await self.visit(ClipboardLimits(to_server=0), steps)

    async def test_no_text_from_the_server(self):
        def steps(page, live):
            page.page.get_by_text("The operator does not allow copying from the server.").wait_for()
            self.assertFalse(page.page.locator("#incoming").is_visible())
            self.assertFalse(page.page.locator("#copy").is_visible())
            axe = Axe(page.page)
            axe.examine("no text from the server", OPPOSITES)
            self.assertEqual(axe.found, [])
            page.page.fill("#outgoing", "hello")
            page.page.click("#send")
            page.wait_said("Sent.")
            self.wait(page, lambda: cut_texts(live))
            self.assertEqual(cut_texts(live), [b"hello"])

        await self.visit(ClipboardLimits(from_server=0), steps)

    async def test_short_texts_from_the_server(self):
        def steps(page, live):
            page.page.get_by_text("The operator allows 4 bytes at once from the server.").wait_for()
            blockingCallFromThread(reactor, live.transport.write, text(b"four"))
            page.page.wait_for_function("() => document.getElementById('incoming').value === 'four'")

        await self.visit(ClipboardLimits(from_server=4), steps)


class ClipboardLimitsInFirefox(ClipboardLimitsTest):
    browser = "firefox"
