"""Advisories whose tests need real programs: VM names in a browser, passwords during migration, Redis's replies."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import ConsoleUnreachable, ServiceUnavailable
from novnc_twisted.novncproxy import NoVNCProxyFactory
from novnc_twisted.rfb.security.vnc import response
from tests.integration.libvirt_case import VIEWER, LibvirtCase
from tests.integration.redis_case import RedisTestCase
from tests.session.harness import Raw
from tests.support.browser import with_page
from tests.support.handed_out import secret
from tests.support.libvirtd import in_thread, private_libvirtd, small_domain, vnc_with_password
from tests.support.redis_server import RedisServer
from tests.support.viewer import Viewers
from tests.support.vm import SmallVM

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{7*7}}\u202e"
PASSWORD = secret(uuid4().hex[:8])


class NameTests(TestCase):
    """CVE-2017-18635: the name of a VM was written into the page as HTML."""

    timeout = 300

    async def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.vm = SmallVM(Path(folder.name), more=("-name", f"guest={HOSTILE.replace(',', ',,')}"))
        self.addCleanup(self.vm.stop)
        await deferToThread(self.vm.start)
        self.name = ""

        async def authorise(*_: str) -> ConnectInfo:
            return ConnectInfo(host="127.0.0.1", port=self.vm.port, name=self.name)

        front = NoVNCProxyFactory(reactor, authorise)
        port = reactor.listenTCP(0, front, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(maybeDeferred, port.stopListening)
        self.addCleanup(maybeDeferred, front.stop_sessions)
        self.url = f"http://127.0.0.1:{port.getHost().port}/vnc_auto.html?token=t"

    async def test_qemus_own_name_in_a_browser(self) -> None:
        """The page and its title show the names from QEMU and libvirt as text, and the browser does not complain."""
        for self.name, shown in (("", f"QEMU ({HOSTILE[:40]}"), (HOSTILE, HOSTILE[:40])):

            def steps(page: Any, shown: str = shown) -> tuple[str, int, str]:
                page.wait_painted()
                page.wait_title(shown)
                elements = page.page.locator("img:not(#still), script:not([src])").count()
                return page.page.title(), elements, page.page.locator("#name").inner_text()

            seen = await with_page(self.url, steps)
            title, elements, named = seen.result
            self.assertIn(shown, title)
            self.assertIn(shown, named)
            self.assertNotIn("\u202e", title + named)
            self.assertEqual(elements, 0)
            self.assertEqual(seen.complaints(), [])
            self.assertEqual(seen.hosts(), {"127.0.0.1"})


class PasswordTests(LibvirtCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.one = await private_libvirtd(self)
        await (await self.host(self.one, "one")).seen(Change.CONNECTED)

    async def wants_its_password(self, info: Any) -> None:
        """Assert that the VNC server admits only viewers with the right password."""
        for password, result in (("wrong", 1), ("", 1), (PASSWORD, 0)):
            raw: Raw = await Viewers(self).raw(info.host, info.port)
            self.assertEqual(await raw.read(12), b"RFB 003.008\n")
            raw.write(b"RFB 003.008\n")
            self.assertEqual(await raw.read(2), b"\1\2", "VNC authentication, and nothing else")
            raw.write(b"\2")
            raw.write(response(password, await raw.read(16)))
            self.assertEqual(int.from_bytes(await raw.read(4), "big"), result, password)

    async def test_migrated(self) -> None:
        """CVE-2015-3252, CVE-2011-1773: the password was lost during migration, and the console was open to all.

        After a live migration, the new QEMU requires the password, and consoleauth still returns it for an earlier
        token.  A VM that was saved and restored requires it too.
        """
        two = await private_libvirtd(self)
        await (await self.host(two, "two")).seen(Change.CONNECTED)
        xml = small_domain("myserver20", identity=self.uuid, graphics=vnc_with_password(PASSWORD))
        await in_thread(self.one.create, xml)
        token = await self.token()
        before = await self.check(token)
        await self.wants_its_password(before)
        where = (two.uri, f"unix://{self.one.root}/s/m")
        await in_thread(self.one.virsh, "migrate", "--live", "--p2p", "myserver20", *where)
        after = await self.check(token)
        self.assertEqual((before.compute_host, after.compute_host), ("one", "two"))
        await self.wants_its_password(after)
        self.assertEqual(await self.consoleauth.get_vnc_password(token, "novnc", VIEWER), PASSWORD)
        state = str(two.root / "d" / "saved")
        await in_thread(two.virsh, "save", "myserver20", state)
        await in_thread(two.virsh, "restore", state)
        token = await self.token()
        await self.wants_its_password(await self.check(token))
        self.assertEqual(await self.consoleauth.get_vnc_password(token, "novnc", VIEWER), PASSWORD)

    async def test_empty(self) -> None:
        """CVE-2016-5008, CVE-2011-0011: an empty password admitted everybody.

        We never log in with an empty password, even if libvirt has one or a VNC server accepts one.
        """
        xml = small_domain("myserver20", identity=self.uuid, graphics=vnc_with_password(""))
        await in_thread(self.one.create, xml)
        token = await self.token()
        await self.check(token)
        refusal = await self.refused(ConsoleUnreachable, self.consoleauth.get_vnc_password(token, "novnc", VIEWER))
        self.assertIn("empty VNC password", refusal.detail)


class DesyncTests(RedisTestCase):
    """CVE-2023-28858, CVE-2023-28859: the reply to a cancelled command went to the next command."""

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.redis = RedisServer(self)
        self.caller, _ = await self.pair(self.redis)
        for number in range(8):
            await self.caller.store.put(f"k{number}", {"of": number}, 600, index=f"i{number}")

    def asked(self, number: int) -> list[tuple[Any, Any]]:
        """Start a command of each kind; return each with its expected reply, which no other command may get."""
        store = self.caller.store
        return [
            (store.get(f"k{number}"), {"of": number}),
            (store.indexed(f"i{number}"), [f"k{number}"]),
            (store.extend(f"k{number}", 600), True),
            (store.put_new(f"k{number}", {"of": "another"}, 600), False),
            (store.remove(f"no{number}"), 0),
            (self.caller.call("t", "note", value=number), number),
        ]

    async def iterations(self, count: int) -> None:
        for _ in range(count):
            await deferLater(reactor, 0, lambda: None)  # type: ignore[arg-type]

    async def assert_own_replies(self) -> None:
        """Assert that each new command gets its own reply."""
        for number in range(8):
            for answer, expected in self.asked(number):
                self.assertEqual(await answer, expected)

    async def test_cancelled_at_every_await(self) -> None:
        """A command is cancelled after 0, 1, 2, ... reactor iterations, until its reply comes first."""
        for kind in range(6):
            late = 0
            for iterations in range(200):
                victim, _ = self.asked(1)[kind]
                beside = [pair for pair in self.asked(2) if pair is not None]
                await self.iterations(iterations)
                late = late + 1 if victim.called else 0
                victim.cancel()
                after = self.asked(3)
                for answer, expected in (*beside, *after):
                    self.assertEqual(await answer, expected, (kind, iterations))
                await self.outcome(victim)
                if late == 3:
                    break
            self.assertEqual(late, 3, "replies never came before the cancellation: not every await was reached")
        await self.assert_own_replies()
        self.assertEqual(len(self.caller.calls.pending), 0)

    async def test_timed_out_in_a_frozen_redis(self) -> None:
        """After time-outs in a frozen Redis, each new command gets its own reply."""
        self.redis.freeze()
        self.addCleanup(self.redis.thaw)
        begun = [answer for number in range(4) for answer, _ in self.asked(number)]
        for at, answer in enumerate(begun):
            if at % 2:
                answer.cancel()
        outcomes = [await self.outcome(answer) for answer in begun]
        self.assertLessEqual({type(outcome) for outcome in outcomes}, {CancelledError, ServiceUnavailable})
        self.redis.thaw()
        await self.until_answered(self.caller, 99)
        await self.assert_own_replies()

    async def outcome(self, answer: Deferred[Any]) -> Exception | None:
        try:
            await answer
        except (CancelledError, ServiceUnavailable) as error:
            return error
        return None
