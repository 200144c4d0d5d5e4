"""Several consoles side by side in real browsers: the list and a proxy on two ports of one host."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import TestCase

from novnc_twisted.access import access_url
from novnc_twisted.contract import ConnectInfo, Console
from novnc_twisted.errors import InstanceNotRunning, InvalidToken
from novnc_twisted.identity import NoAuth
from novnc_twisted.novncproxy import NoVNCProxyFactory
from tests.api.harness import FakeHost, System, instance, uuid_of
from tests.support import published
from tests.support.axe import Axe
from tests.support.browser import TIMEOUT, with_page
from tests.support.handed_out import secret
from tests.support.vnc_server import FakeVNCServer
from tests.web.steps import SHIFT

NAMES = ("web-1", "web-2", "web-3")


class Host(FakeHost):
    """A compute host whose consoles are at a proxy of the test."""

    base = ""

    async def get_vnc_console(self, instance_uuid: str, console_type: str) -> Any:
        name = self.instances[instance_uuid]["name"]
        token = secret(f"{name}-{len(self.asked):032}")
        self.asked.append((instance_uuid, console_type))
        info = ConnectInfo(
            host="192.0.2.7", port=5901, instance_uuid=instance_uuid, name=name, console_type=console_type
        )
        return Console(token=token, access_url=access_url(self.base, token), connect_info=info).to_wire()


class SplitCase(TestCase):
    timeout = 300
    browser = "chromium"

    async def setUp(self) -> None:
        self.servers = {name: FakeVNCServer(name=name.encode()) for name in NAMES}
        ports = {}
        for name, server in self.servers.items():
            port = reactor.listenTCP(0, server, interface="127.0.0.1")  # type: ignore[attr-defined]
            self.addCleanup(port.stopListening)
            ports[name] = port.getHost().port
        self.host = Host("host1", *(instance(name) for name in NAMES), instance("off", state="shutoff"))
        self.system = await System(NoAuth(), self.host, reactor=reactor).start()
        await published.publish(self.system.transport.store, "host1", self.host.instances.values())
        api = reactor.listenTCP(0, self.system.site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(self.system.transport.stop)
        self.addCleanup(self.system.site.empty)
        self.addCleanup(api.stopListening)

        async def authorise(token: str, console_type: str, client_address: str) -> ConnectInfo:
            name = next((name for name in NAMES if token.startswith(f"{name}-")), None)
            if name is None:
                raise InvalidToken
            if self.host.instances[uuid_of(name)]["state"] != "running":
                raise InstanceNotRunning(name)
            return ConnectInfo(host="127.0.0.1", port=ports[name], name=name)

        self.proxy = NoVNCProxyFactory(reactor, authorise, list_addresses=[("127.0.0.1", api.getHost().port)])
        front = reactor.listenTCP(0, self.proxy, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(maybeDeferred, front.stopListening)
        self.addCleanup(maybeDeferred, self.proxy.stop_sessions)
        self.host.base = f"http://127.0.0.1:{front.getHost().port}/vnc_auto.html"
        self.url = f"http://127.0.0.1:{api.getHost().port}/console/"

    def address(self, *names: str) -> str:
        return f"{self.url}split?" + "&".join(f"server={uuid_of(name)}" for name in names)

    async def typed(self, name: str, count: int) -> str:
        """Return the next keys that a server receives, except modifiers."""
        connection = await self.servers[name].live.get()
        found = []
        while len(found) < count:
            kind, message = await connection.inbox.get()
            if kind == 4 and message[1] and int.from_bytes(message[4:8]) < SHIFT:
                found.append(chr(int.from_bytes(message[4:8])))
        return "".join(found)

    def wait_typed(self, name: str, expected: str) -> None:
        """In the browser's thread: wait until a server has received these keys, which the page loses if it closes."""
        typed = lambda: Deferred.fromCoroutine(self.typed(name, len(expected))).addTimeout(TIMEOUT, reactor)  # noqa: E731
        self.assertEqual(blockingCallFromThread(reactor, typed), expected)

    async def visit(self, address: str, steps: Any, **options: Any) -> Any:
        seen = await with_page(address, steps, browser=self.browser, **options)
        self.assertEqual(seen.complaints(), [])
        return seen

    async def beside(self, folder: Path | None = None) -> None:
        """Two consoles; the keys go to the one that has the focus, and F6 moves it."""

        def steps(view: Any) -> None:
            page = view.page
            for name in NAMES[:2]:
                frame = page.frame_locator(f"[data-name={name}] iframe")
                frame.locator("#state", has_text="Connected").wait_for()
            page.wait_for_function("() => document.activeElement.title === 'web-1'")
            page.keyboard.type("ab")
            page.keyboard.press("Control+Alt+Shift")
            first = page.frame_locator("[data-name=web-1] iframe")
            first.locator("#tools button:focus").wait_for()
            page.keyboard.down("F6")
            page.wait_for_function("() => document.activeElement.title === 'web-2'")
            for _ in range(2):  # it is held
                page.keyboard.down("F6")
            page.keyboard.up("F6")
            page.keyboard.type("cd")
            self.wait_typed("web-1", "ab")
            self.wait_typed("web-2", "cd")
            if folder is not None:
                for size in ((1280, 800), (3840, 2160)):
                    page.set_viewport_size({"width": size[0], "height": size[1]})
                    page.screenshot(path=str(folder / f"split-{size[0]}.png"))

        await self.visit(self.address("web-1", "web-2"), steps)


class SplitTest(SplitCase):
    async def test_clicks(self) -> None:
        """A click into a console moves the focus there, and the page shows which console has it."""

        def steps(view: Any) -> None:
            page = view.page
            for name in NAMES[:2]:
                page.frame_locator(f"[data-name={name}] iframe").locator("#state", has_text="Connected").wait_for()
            page.wait_for_function("() => document.activeElement.title === 'web-1'")
            for name, keys in (("web-2", "cd"), ("web-1", "ab"), ("web-2", "ef")):
                page.frame_locator(f"[data-name={name}] iframe").locator("canvas").click()
                page.locator(f".pane:focus-within[data-name={name}]").wait_for()
                page.keyboard.type(keys)
            self.wait_typed("web-1", "ab")
            self.wait_typed("web-2", "cdef")

        await self.visit(self.address("web-1", "web-2"), steps)

    async def test_beside_each_other(self) -> None:
        """The screenshots are in trial's folder."""
        folder = Path(self.mktemp())
        folder.mkdir()
        await self.beside(folder)

    async def test_from_the_list_and_back(self) -> None:
        """Servers are chosen in the list; closing a console removes it from the address."""

        def steps(view: Any) -> None:
            page = view.page
            page.get_by_role("checkbox", name="Choose web-1").check()
            page.get_by_text("Choose two to four servers.").wait_for()
            self.assertEqual(page.get_by_role("checkbox", name="Choose off").count(), 0)
            for name in NAMES[1:]:
                page.get_by_role("checkbox", name=f"Choose {name}").check()
            page.get_by_role("button", name="Side by side").click()
            page.wait_for_url("**/split?*")
            page.locator("[data-name=web-3] iframe").wait_for()
            page.get_by_role("button", name="Close: web-2").click()
            page.wait_for_url(self.address("web-1", "web-3"))
            self.assertEqual(page.locator("iframe").count(), 2)

        await self.visit(self.url, steps)

    async def test_on_a_phone_one_at_a_time(self) -> None:
        picture = Path(self.mktemp()).with_suffix(".png")

        def steps(view: Any) -> None:
            page = view.page
            page.frame_locator("[data-name=web-2] iframe").locator("#state", has_text="Connected").wait_for(
                state="attached"
            )
            shown = "() => [...document.querySelectorAll('.pane')].map((each) => getComputedStyle(each).visibility)"
            self.assertEqual(page.evaluate(shown), ["visible", "hidden"])
            page.get_by_role("navigation").get_by_role("button", name="web-2").click()
            self.assertEqual(page.evaluate(shown), ["hidden", "visible"])
            self.assertLessEqual(page.evaluate("() => document.documentElement.scrollWidth"), 390)
            page.screenshot(path=str(picture))
            # Tabs that do not fit are scrolled, because names that are cut often look the same.
            page.set_viewport_size({"width": 140, "height": 780})
            tabs = page.get_by_role("navigation").get_by_role("button")
            cut = "(tabs) => tabs.filter((tab) => tab.scrollWidth > tab.clientWidth).length"
            self.assertEqual(tabs.evaluate_all(cut), 0)

        await self.visit(self.address("web-1", "web-2"), steps, size=(390, 780))

    async def test_a_link_that_is_refused(self) -> None:
        """The pane says why, and its button asks again and keeps the focus."""
        refusal = {"json": {"fault": {"message": "Not now."}}, "status": 503}

        def steps(view: Any) -> None:
            page = view.page
            page.route("**/consoles", lambda route: route.fulfill(**refusal))
            page.reload()
            button = page.get_by_role("button", name="Try again: web-1")
            button.wait_for()
            self.assertIn("Not now.", page.locator("[data-name=web-1] .why").inner_text())
            button.focus()
            page.keyboard.press("Enter")
            page.wait_for_function("() => document.activeElement.ariaLabel === 'Try again: web-1'")
            page.unroute("**/consoles")
            page.keyboard.press("Enter")
            page.frame_locator("[data-name=web-1] iframe").locator("#state", has_text="Connected").wait_for()
            page.wait_for_function("() => document.activeElement.title === 'web-1'")

        # The browser's console is not checked, because it reports the refusals.
        await with_page(self.address("web-1", "web-2"), steps, browser=self.browser)

    async def test_a_proxy_that_lets_nobody_show_it(self) -> None:
        """The page says what the operator has to set, and links to the console."""
        self.proxy.list_addresses = []

        def steps(view: Any) -> None:
            page = view.page
            page.locator("iframe").wait_for()
            while "frame-ancestors" not in " ".join(view.seen.console):  # no report comes after the frame is removed
                page.wait_for_timeout(25)
            page.keyboard.press("F6")
            page.wait_for_function("() => document.activeElement.title === 'web-1'")
            page.clock.run_for(11_000)
            why = page.locator("[data-name=web-1] .why")
            why.wait_for()
            origin = self.url.removesuffix("/console/")
            self.assertIn(f"add {origin} to [console] frame_ancestors", why.inner_text())
            link = why.get_by_role("link", name="Open in a tab: web-1")
            self.assertTrue(link.get_attribute("href").startswith(self.host.base))
            # The link takes over the focus of the frame, and F6 moves on and back.
            named = "(name) => document.activeElement.ariaLabel === name"
            for name in ("Open in a tab: web-1", "Start the server: off", "Open in a tab: web-1"):
                page.wait_for_function(named, arg=name)
                page.keyboard.press("F6")
            self.assertEqual(page.evaluate("() => document.activeElement.ariaLabel"), "Start the server: off")
            page.keyboard.press("Shift+F6")
            with page.context.expect_page() as opened:
                page.keyboard.press("Enter")
            opened.value.locator("#state", has_text="Connected").wait_for()
            opened.value.close()
            self.assertEqual(page.locator("[data-name=off] .state").inner_text(), "Off")
            page.clock.resume()
            axe = Axe(page)
            axe.examine("blocked")
            self.assertEqual(axe.found, [])

        await with_page(self.address("web-1", "off"), steps, browser=self.browser, clock=True)


class SplitFirefoxTest(SplitCase):
    browser = "firefox"

    async def test_beside_each_other(self) -> None:
        await self.beside()
