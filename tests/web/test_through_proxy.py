"""The page, served by the noVNC proxy, with a real VM behind it."""

import string
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InstanceNotRunning, InvalidToken
from novnc_twisted.novncproxy import NoVNCProxyFactory
from tests.support.browser import with_page
from tests.support.vm import SmallVM
from tests.support.vnc_server import FakeVNCServer

TYPED = 6
"""The row of the guest's screen where typing begins."""


COUNT_QUESTIONS = """
    window.questions = 0;
    window.sockets = new Set();
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        sockets.add(this);
        questions += data.byteLength === 0;
        return send.call(this, data);
    };
"""
"""Counts the empty messages with which the page probes the proxy, and its WebSockets."""


class ThroughProxyTest(TestCase):
    timeout = 300

    async def setUp(self):
        folder = tempfile.TemporaryDirectory()  # not trial's folder: the path of a unix socket must be short
        self.addCleanup(folder.cleanup)
        self.running = True
        self.vm = SmallVM(Path(folder.name), vnc="key-delay-ms=40")  # a guest without CPU time loses keys
        await deferToThread(self.vm.start)
        self.addCleanup(self.vm.stop)

        async def authorise(token, console_type, client_address):
            if token != "good":
                raise InvalidToken
            if not self.running:
                raise InstanceNotRunning
            return ConnectInfo(host="127.0.0.1", port=self.vm.port, name="myserver20")

        self.factory = NoVNCProxyFactory(reactor, authorise)
        self.port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(maybeDeferred, self.port.stopListening)
        self.addCleanup(maybeDeferred, self.factory.stop_sessions)

    def url(self, query, page="vnc_auto.html"):
        return f"http://127.0.0.1:{self.port.getHost().port}/{page}?{query}"

    def wait_text(self, page, row, text):
        """Wait until the guest shows this text; a failure contains what it shows."""
        for _ in range(1200):
            shown = self.vm.text()[row]
            if shown == text:
                return
            page.page.wait_for_timeout(50)
        self.assertEqual(shown, text)

    async def test_typing(self):
        """Keys that are pressed, or typed from the clipboard panel, reach the guest as the right scan codes."""
        printable = "".join(sorted(set(string.printable) - set(string.whitespace)))

        def steps(page):
            page.wait_painted()
            page.wait_title("myserver20")
            self.wait_text(page, TYPED, ">")
            page.type("ls -l")
            page.press("Shift+H")
            page.press("Enter")
            self.wait_text(page, TYPED, "> ls -lH")
            page.page.click("#clipboard")
            page.page.select_option("#layout", "us")
            page.page.fill("#outgoing", f"{printable[:70]}\n{printable[70:]}")
            page.page.click("#type")
            page.wait_said("Typed.")
            self.wait_text(page, TYPED + 1, f"> {printable[:70]}")
            self.wait_text(page, TYPED + 2, f"> {printable[70:]}")
            self.assertEqual(page.size(), (720, 400))

        seen = await with_page(self.url("token=good"), steps)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual(seen.hosts(), {"127.0.0.1"})

    async def test_caps_lock_and_dead_keys(self):
        """Text is typed right while the guest's Caps Lock is on; a dead key is sent as a key."""

        def steps(page):
            page.wait_painted()
            self.wait_text(page, TYPED, ">")
            page.press("CapsLock")  # Playwright's keyboard has no Caps Lock state, so only the guest's is on
            page.page.click("#clipboard")
            page.page.select_option("#layout", "us")
            page.page.fill("#outgoing", "aBc1!Pass\n")
            page.page.click("#type")
            page.wait_said("Typed.")
            self.wait_text(page, TYPED, "> aBc1!Pass")
            page.page.select_option("#layout", "es")
            page.page.fill("#outgoing", "Dónde está\n")
            page.page.click("#type")
            page.wait_said("Typed.")
            # the guest has a US keyboard, where Spain's dead key writes an apostrophe
            self.wait_text(page, TYPED + 1, "> D'onde est'a")

        seen = await with_page(self.url("token=good"), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_refused(self):
        def steps(page):
            return page.wait_said("This console link is not valid or has expired.")

        for query in ("token=bad", "path=%3Ftoken%3Dbad"):
            seen = await with_page(self.url(query, "vnc_lite.html"), steps)
            self.assertEqual(seen.complaints(), [])
            self.assertEqual(seen.result, InvalidToken.sentence)

    async def test_vm_ends_and_comes_back(self):
        """The page waits for a VM that has ended, says so, and connects when it is back."""

        def steps(page):
            page.wait_painted()
            self.running = False
            self.vm.stop()
            page.wait_said("This server is not running.")
            self.assertIn("not running", page.page.inner_text("#state"))
            self.vm.start()
            self.running = True
            page.wait_painted()
            page.wait_said("Connected")
            self.wait_text(page, TYPED, ">")
            page.type("back")
            self.wait_text(page, TYPED, "> back")

        seen = await with_page(self.url("token=good"), steps)
        self.assertEqual(seen.complaints(), [])

    async def test_vm_that_is_frozen(self):
        """A QEMU that does not respond does not end the session: the proxy answers the page's probes."""

        def steps(page):
            page.page.add_init_script(COUNT_QUESTIONS)
            page.page.reload()
            page.wait_painted()
            self.wait_text(page, TYPED, ">")
            self.vm.freeze()
            # The first probe comes with the session, the others after keys without an answer.
            for count in (2, 3, 4):
                page.type("a")
                page.page.wait_for_function("(count) => questions >= count", arg=count)
                self.assertTrue(page.page.inner_text("#state").startswith("Connected"))
            self.vm.thaw()
            self.wait_text(page, TYPED, "> aaa")
            self.assertEqual(page.page.evaluate("sockets.size"), 1)

        seen = await with_page(self.url("token=good"), steps)
        self.assertEqual(seen.complaints(), [])
        self.assertEqual([url for url in seen.requests if "alive=" in url], [], "the answers to the messages suffice")


class IPv6Test(TestCase):
    timeout = 300

    async def test_ipv6(self):
        """The console opens at an IPv6 literal, and the browser does not complain about the Content-Security-Policy."""
        server = FakeVNCServer(name=b"QEMU (myserver20)")
        vnc = reactor.listenTCP(0, server, interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)

        async def authorise(token, console_type, client_address):
            return ConnectInfo(host="127.0.0.1", port=vnc.getHost().port, name="myserver20")

        factory = NoVNCProxyFactory(reactor, authorise)
        port = reactor.listenTCP(0, factory, interface="::1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, factory.stop_sessions)
        for browser in ("chromium", "firefox"):
            url = f"http://[::1]:{port.getHost().port}/vnc_auto.html?token=T"

            async def key():
                connection = await server.live.get()
                while (message := await connection.inbox.get())[0] != 4:
                    pass
                return message[1]

            def steps(page, key=key):
                page.wait_said("Connected")
                page.type("x")
                return blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(key()).addTimeout(60, reactor))

            seen = await with_page(url, steps, browser=browser)
            self.assertEqual(seen.complaints(), [], browser)
            self.assertEqual(seen.result, b"\4\1\0\0\0\0\0x")
