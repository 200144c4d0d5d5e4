"""The page in a frame of a dashboard on another origin, as Horizon shows it: judged by what the VNC server received."""

from pathlib import Path
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import InvalidToken
from novnc_twisted.novncproxy import NoVNCProxyFactory
from tests.support.browser import TIMEOUT, with_page
from tests.support.logged import Logged
from tests.support.vnc_server import FakeVNCServer

# From Horizon's _detail_console.html, without what Django fills in.
TEMPLATE = """<!doctype html><title>Instance Console - Horizon</title><h3>Instance Console</h3>
<p class="alert alert-info">If console is not responding to keyboard input: click the grey status bar below.
<a href="{url}" style="text-decoration: underline">Click here to show only console</a></p>
<input id="search" autofocus>
<iframe id="console_embed" src="{url}" style="width:100%;height:600px"></iframe>"""

NAME = "myserver20"


class Horizon(Resource):
    """The page of an instance's console; its path is the token of the console.

    :ivar proxy: the URL of the proxy.
    """

    isLeaf = True
    proxy = ""

    def render_GET(self, request):
        token = request.path.decode().strip("/")
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.setHeader("Connection", "close")
        url = f"{self.proxy}/vnc_auto.html?token={token}&amp;title={NAME}({uuid4()})"
        return TEMPLATE.format(url=url).encode()


class FramedCase(TestCase):
    """A dashboard, a proxy, and a VNC server."""

    timeout = 300
    browser = "chromium"

    async def setUp(self):
        self.server = FakeVNCServer(name=b"QEMU (instance-00000001)")
        vnc = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(vnc.stopListening)
        self.used = set()

        async def authorise(token, console_type, client_address):
            if token not in ("often", "once") or token in self.used:
                raise InvalidToken
            if token == "once":
                self.used.add(token)
            return ConnectInfo(host="127.0.0.1", port=vnc.getHost().port, name=NAME)

        horizon = Horizon()
        dashboard = reactor.listenTCP(0, Site(horizon))
        self.addCleanup(maybeDeferred, dashboard.stopListening)
        # localhost and the proxy's 127.0.0.1 are different sites.
        self.dashboard = f"http://localhost:{dashboard.getHost().port}"
        factory = NoVNCProxyFactory(reactor, authorise, frame_ancestors=("'self'", self.dashboard))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, factory.stop_sessions)
        horizon.proxy = f"http://127.0.0.1:{port.getHost().port}"

    def wait_typed(self, expected):
        """In the browser's thread: wait until the VNC server has received these keys on its next connection.

        A page that closes may lose them.
        """

        async def typed():
            connection = await self.server.live.get()
            found = []
            while len(found) < len(expected):
                kind, message = await connection.inbox.get()
                if kind == 4 and message[1]:
                    found.append(int.from_bytes(message[4:8]))
            return bytes(found).decode()

        limited = lambda: Deferred.fromCoroutine(typed()).addTimeout(TIMEOUT, reactor)  # noqa: E731
        self.assertEqual(blockingCallFromThread(reactor, limited), expected)

    def click(self, page, element, **options):
        """Click in the frame, and wait until the page around it knows that the frame has the focus.

        The frame may be another process, which gets keys only from then on.
        """
        page.page.locator("#search").focus()
        element.click(**options)
        page.page.wait_for_function("() => document.activeElement.id === 'console_embed'")

    async def in_a_frame(self, screenshot):
        """Check the title, the keys after a click, and the console's own window with the same link."""

        def steps(page):
            frame = page.page.frame_locator("#console_embed")
            frame.locator("#state", has_text="Connected").wait_for()
            screenshot(page.page, "framed-1280")
            # Horizon's frame is higher than the window: what is in the middle may be out of sight.
            tops = [frame.locator(each).bounding_box()["y"] for each in ("#stage", "#stage canvas")]
            self.assertAlmostEqual(*tops, delta=1)
            self.click(page, frame.locator("#stage canvas"), position={"x": 50, "y": 50})
            page.type("ab")
            self.click(page, frame.locator("#name"))  # "click the grey status bar below"
            page.type("cd")
            self.wait_typed("abcd")
            # By keyboard alone: from the screen to the tools, and along them.
            for key in ("Control", "Alt", "Shift"):
                page.page.keyboard.down(key)
            for key in ("Shift", "Alt", "Control"):
                page.page.keyboard.up(key)
            frame.locator("#tools button:focus").wait_for()
            for _ in range(frame.locator("#tools button").count()):
                if frame.locator("#own:focus").count():
                    break
                page.press("ArrowRight")
            with page.page.context.expect_page() as opened:
                page.press("Enter")
            own = opened.value
            own.locator("#state", has_text="Connected").wait_for()
            self.assertEqual(own.title(), f"{NAME} - Console")
            screenshot(own, "own")
            own.keyboard.type("ef")
            self.wait_typed("ef")
            self.assertFalse(own.locator("#own").is_visible())
            own.close()
            page.page.set_viewport_size({"width": 390, "height": 844})
            frame.locator("#more").click()
            self.assertTrue(frame.locator("#own-too").is_visible())
            screenshot(page.page, "framed-390")

        seen = await with_page(f"{self.dashboard}/often", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])


class FramedTest(FramedCase):
    async def test_in_a_frame(self):
        """The screenshots are in trial's folder."""
        folder = Path(self.mktemp())
        folder.mkdir()
        await self.in_a_frame(lambda page, name: page.screenshot(path=str(folder / f"{name}.png")))

    async def test_a_link_for_one_session(self):
        """The second window says why it has no console, and the frame keeps its console."""

        def steps(page):
            frame = page.page.frame_locator("#console_embed")
            frame.locator("#state", has_text="Connected").wait_for()
            with page.page.context.expect_page() as opened:
                frame.locator("#own").click()
            own = opened.value
            own.locator("#hint", has_text="The console remains open in the page").wait_for()
            self.assertIn(InvalidToken.sentence, own.inner_text("#sentence"))
            self.assertEqual(own.title(), f"Not connected - {NAME} - Console")  # Horizon's title
            own.close()
            self.click(page, frame.locator("#name"))
            page.type("gh")
            self.wait_typed("gh")

        seen = await with_page(f"{self.dashboard}/once", steps, browser=self.browser)
        self.assertEqual(seen.complaints(), [])

    async def test_a_frame_that_is_blocked(self):
        """A dashboard that frame_ancestors does not name: the browser shows nothing; a log line names the option."""
        log = Logged(self)
        dashboard = self.dashboard.replace("localhost", "127.0.0.2")

        def steps(page):
            if "frame-ancestors" not in " ".join(page.seen.console):
                page.page.wait_for_event("console", lambda message: "frame-ancestors" in message.text)

        await with_page(f"{dashboard}/often", steps, browser=self.browser)
        (line,) = log.lines("frame_ancestors")
        self.assertIn(f"will not show the console in a frame of {dashboard}. To allow it: [console]", line)


class FramedFirefoxTest(FramedCase):
    browser = "firefox"

    async def test_in_a_frame(self):
        await self.in_a_frame(lambda page, name: None)
