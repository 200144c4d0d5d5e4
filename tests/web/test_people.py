"""Two pages at one console, through two proxies: judged by what the VNC server receives of each."""

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth import ConsoleAuthAPI, ConsoleAuthManager
from novnc_twisted.consoleauth.people_api import PeopleAPI
from novnc_twisted.contract import ConnectInfo, SessionFilter
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.session.closed_reports import ClosedReports
from novnc_twisted.session.manager import SessionManager, new_topic
from tests.consoleauth.harness import VM, Host
from tests.support.axe import Axe
from tests.support.browser import ConsolePage, with_page
from tests.support.vm import SmallVM
from tests.support.vnc_server import FakeVNCServer
from tests.web.test_through_proxy import TYPED


class PeopleCase(TestCase):
    """consoleauth, a compute host and two proxies in this process, in front of a synthetic VNC server."""

    timeout = 300
    browser = "chromium"

    async def setUp(self) -> None:
        self.transport = MemoryTransport(reactor)
        self.events: list[Any] = []
        self.registries: list[Any] = []
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.vnc_port = await self.start_vnc()
        self.host = host = Host("127.0.0.1")
        host.run(port=self.vnc_port)
        names = (
            "get_instance",
            "validate_console_port",
            "get_vnc_password",
            "get_instances_at_address",
            "change_power",
        )
        methods = {name: getattr(host, name) for name in names}
        await self.transport.serve("compute.one", methods, binary="nova-compute", host="one")
        manager = ConsoleAuthManager(self.transport, reactor)
        await manager.start()
        self.addCleanup(manager.stop)
        self.ports = [await self.proxy(name) for name in ("one", "two")]

    async def start_vnc(self) -> int:
        """Start the VNC server, and return its port."""
        self.vnc = FakeVNCServer(size=(320, 200))
        return self.listen(self.vnc)

    async def proxy(self, name: str) -> int:
        topic = new_topic(name)
        self.api = api = ConsoleAuthAPI(self.transport, proxy=topic)
        factory = NoVNCProxyFactory(
            reactor,
            api.check_token,
            keep_token=api.keep_token,
            find_again=api.find_again,
            people=PeopleAPI(self.transport, topic),
            change_power=self.change_power,
            observer=self.events.append,
        )
        reports = ClosedReports(self.transport, reactor)
        factory.registry.on_closed = reports.add
        self.registries.append(factory.registry)
        sessions = SessionManager(self.transport, factory.registry, host=name, topic=topic)
        await sessions.start()
        port = self.listen(factory)
        self.addCleanup(sessions.stop)
        self.addCleanup(reports.stop)
        self.addCleanup(lambda: maybeDeferred(factory.stop_sessions))
        return port

    async def _change_power(self, token: str, console_type: str, client_address: str, action: str) -> str | None:
        return await self.api.change_power(token, console_type, client_address, action)

    change_power: Any = _change_power
    """None: viewers begin no power actions."""

    def listen(self, factory: Any) -> int:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def link(self, user: str, mode: str = "control", proxy: int = 0) -> str:
        """A link of a user."""
        token = f"token-of-{user}"
        info = ConnectInfo(
            host="127.0.0.1",
            port=self.vnc_port,
            instance_uuid=VM,
            name="myserver20",
            user_id=user,
            compute_host="one",
            mode=mode,
        )
        await self.api.authorize_console(token, info)
        return self.url(token, proxy)

    def url(self, token: str, proxy: int) -> str:
        return f"http://127.0.0.1:{self.ports[proxy]}/vnc_auto.html?token={token}"

    # --- steps, in the browser's thread

    def keys(self) -> str:
        """The letters of the key presses that the VNC server received."""
        return "".join(
            chr(int.from_bytes(message[4:8], "big"))
            for each in self.vnc.connections
            for kind, message in each.messages
            if (kind == 4 and message[1]) or (kind == 255 and message[3])
        )

    def wait_key(self, page: Any, key: str) -> None:
        """Press a key until the VNC server receives it."""
        page.locator("#stage canvas").first.focus()
        for _ in range(400):
            page.keyboard.press(key)
            page.wait_for_timeout(50)
            if key in self.keys():
                return
        self.fail(f"{key} was not heard")

    def drawn(self, page: Any, words: str) -> None:
        """Wait until the list of people shows these words."""
        page.locator("#people-list").filter(has_text=words).wait_for(state="attached")

    def second(self, page: ConsolePage, url: str) -> Any:
        """Open another page in the same browser."""
        other = page.page.context.new_page()
        self.complaints: list[str] = []
        other.on("console", lambda m: self.complaints.append(m.text) if m.type in ("warning", "error") else None)
        other.on("pageerror", lambda error: self.complaints.append(str(error)))
        other.goto(url)
        other.locator("#people:not([hidden])").wait_for()
        return other


class Control(PeopleCase):
    async def test_control_is_handed_over(self) -> None:
        """Control is requested, given, used and taken back, across two proxies."""
        alice, bob = await self.link("alice"), await self.link("bob", "view", proxy=1)

        def steps(page: ConsolePage) -> None:
            mine = page.page
            mine.locator("#people:not([hidden])").wait_for()
            theirs = self.second(page, bob)
            mine.locator("#people-said").filter(has_text="bob joined").wait_for(state="attached")
            self.assertIn("2", mine.locator("#people").get_attribute("aria-label") or "")
            # A watcher sees that, has no tools for typing, and its keys do not arrive.
            theirs.locator("#state").filter(has_text="you may only watch").wait_for()
            self.assertTrue(theirs.locator("#cad").is_disabled())
            theirs.locator("#stage canvas").first.focus()
            theirs.keyboard.press("x")
            # Request control by keyboard alone.
            theirs.locator("#people").focus()
            theirs.keyboard.press("Enter")
            theirs.locator("#request-control").focus()
            theirs.keyboard.press("Enter")
            theirs.locator("#people-note").filter(has_text="Asked").wait_for()
            mine.locator("#asked-words").filter(has_text="bob asks for control").wait_for()
            self.wait_key(mine, "a")
            mine.bring_to_front()  # browsers draw pages in the background only once a second
            mine.locator("#asked-give").click()
            theirs.locator("#people-said").filter(has_text="You have control").wait_for(state="attached")
            mine.locator("#state").filter(has_text="you may only watch").wait_for()
            self.wait_key(theirs, "b")
            mine.locator("#stage canvas").first.focus()
            mine.keyboard.press("y")
            mine.locator("#people").click()
            mine.get_by_role("button", name="Take control back").wait_for()
            mine.locator("#take-control").click()
            theirs.locator("#state").filter(has_text="you may only watch").wait_for()
            theirs.locator("#stage canvas").first.focus()
            theirs.keyboard.press("z")
            self.wait_key(mine, "c")
            theirs.close()
            mine.locator("#people-said").filter(has_text="bob left").wait_for(state="attached")

        seen = await with_page(alice, steps, browser=self.browser)
        self.assertEqual(seen.complaints() + self.complaints, [])
        self.assertEqual(set(self.keys()), set("abc"))

    async def test_two_ask_for_control(self) -> None:
        """The second request is shown after the first is answered."""
        alice, bob, carol = await self.link("alice"), await self.link("bob", "view"), await self.link("carol", "view")

        def steps(page: ConsolePage) -> None:
            mine = page.page
            mine.locator("#people:not([hidden])").wait_for()
            others = [self.second(page, bob), self.second(page, carol)]
            for name, other in zip(("bob", "carol"), others, strict=True):
                self.drawn(mine, name)
                other.bring_to_front()
                other.locator("#people").click()
                other.locator("#request-control").click()
                other.locator("#people-note").filter(has_text="Asked").wait_for()
                mine.locator("#asked-words").filter(has_text="bob asks for control").wait_for()
            mine.bring_to_front()
            mine.locator("#asked-not").click()
            mine.locator("#asked-words").filter(has_text="carol asks for control").wait_for()
            mine.locator("#asked-give").click()
            others[1].locator("#people-said").filter(has_text="You have control").wait_for(state="attached")
            self.wait_key(others[1], "c")
            for other in others:
                other.close()

        await with_page(alice, steps, browser=self.browser)
        self.assertEqual(set(self.keys()), {"c"})


class ControlInFirefox(Control):
    """The same in Firefox, with a real QEMU, whose guest shows what it receives."""

    browser = "firefox"

    async def start_vnc(self) -> int:
        folder = tempfile.TemporaryDirectory()  # not trial's folder: the path of a unix socket must be short
        self.addCleanup(folder.cleanup)
        self.vm = SmallVM(Path(folder.name))
        await deferToThread(self.vm.start)
        self.addCleanup(self.vm.stop)
        return self.vm.port

    def keys(self) -> str:
        return self.vm.text()[TYPED].removeprefix("> ")


class People(PeopleCase):
    async def test_a_link_for_a_guest(self) -> None:
        """The guest is listed as such, cannot share, and is disconnected when the sharer's link is revoked."""
        alice = await self.link("alice")

        def steps(page: ConsolePage) -> None:
            mine = page.page
            mine.locator("#people").click()
            # The empty line for reports takes no space.
            height = "(e) => e.getBoundingClientRect().height"
            self.assertEqual(mine.locator("#people-note").evaluate(height), 0)
            mine.locator("#share-time").select_option("900")
            mine.locator("#share-make").click()
            mine.locator("#shared-until").filter(has_text="valid until").wait_for()
            shared = mine.locator("#shared-link").input_value()
            self.assertEqual(urlsplit(shared)[:3], urlsplit(alice)[:3])
            self.assertNotIn("token-of-alice", shared)
            mine.locator("#share-copy").click()
            mine.locator("#people-note:not(:empty)").wait_for()
            mine.locator("#share-make").click()
            mine.locator("#people-note:empty").wait_for(state="attached")  # it was about the previous link
            guest = self.second(page, shared)
            self.drawn(mine, "Guest of alice")
            guest.locator("#people").click()
            self.assertFalse(guest.locator("#share-form").is_visible())
            mine.locator("#people").click()
            self.wait_key(mine, "a")
            blockingCallFromThread(reactor, self.revoke, "token-of-alice")
            guest.locator("#card-title").filter(has_text="Session revoked").wait_for()

        seen = await with_page(alice, steps, size=(390, 780), has_touch=True)
        self.assertEqual(seen.complaints() + self.complaints, [])

    def revoke(self, token: str) -> Any:
        return Deferred.fromCoroutine(self.api.revoke(SessionFilter(token_hash=hash_token(token))))

    async def test_accessible(self) -> None:
        """axe-core finds nothing in the states that other tests of the page do not reach."""
        alice, bob = await self.link("alice"), await self.link("bob", "view", proxy=1)

        def steps(page: ConsolePage) -> None:
            mine = page.page
            axe = Axe(mine)
            mine.locator("#people:not([hidden])").wait_for()
            theirs = self.second(page, bob)
            self.drawn(mine, "bob")
            mine.locator("#people").click()
            mine.locator("#share-make").click()
            mine.locator("#shared").wait_for()
            axe.examine("who is here, with a link")
            mine.locator("#people").click()
            theirs.locator("#people").click()
            theirs.locator("#request-control").click()
            mine.locator("#asked").wait_for()
            axe.examine("asked for control")
            theirs.locator("#people-note").filter(has_text="Asked.").wait_for()
            mine.locator("#asked-give").click()
            mine.locator("#state").filter(has_text="you may only watch").wait_for()
            theirs.locator("#people-note:empty").wait_for(state="attached")
            axe.examine("watching")
            self.assertEqual(axe.found, [])
            theirs.close()

        await with_page(alice, steps)
