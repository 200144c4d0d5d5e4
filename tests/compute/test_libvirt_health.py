"""Log lines about a libvirt that does not answer, or refuses."""

import threading
from typing import Any

import libvirt
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.libvirt import pool as libvirt_pool
from novnc_twisted.compute.libvirt import watch as libvirt_watch
from novnc_twisted.compute.libvirt.health import CALLS, EVENTS, Health
from novnc_twisted.compute.libvirt.loop import open_connection
from novnc_twisted.compute.libvirt.pool import ConnectionPool
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from tests.compute.libvirt_handles import Connection, Error
from tests.support.held_time import HeldTime
from tests.support.libvirtd import WatchedDriver
from tests.support.logged import Logged


class HealthTests(SynchronousTestCase):
    """Calls and events share one warning, and one line about the recovery."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.log = Logged(self)
        self.health = Health(self.clock, "qemu:///system")

    def test_one_warning_and_one_end(self) -> None:
        for _ in range(3):
            self.health.trouble(CALLS, "a call was not answered within 4 s")
            self.health.trouble(EVENTS, "Connection refused")
        (line,) = self.log.lines()
        for part in ("qemu:///system", "not answered within 4 s", "max_clients", "connection_uri"):
            self.assertIn(part, line)
        self.health.well(EVENTS)
        self.assertEqual(self.log.lines("again"), [])
        for _ in range(3):
            self.health.well(CALLS)
            self.health.well(EVENTS)
        self.assertEqual(len(self.log.lines("qemu:///system answers again")), 1)
        self.health.trouble(EVENTS, "Connection refused")
        self.assertEqual(len(self.log.lines("can't be reached")), 2)

    def test_refused_calls(self) -> None:
        for _ in range(3):
            self.health.refused("access denied")
            self.health.refused("read only access")
        self.assertEqual(len(self.log.lines("refuses a call")), 2)
        self.clock.advance(600)
        self.health.refused("access denied")
        self.assertEqual(len(self.log.lines("refuses a call: access denied")), 2)


class PoolHealthTests(TestCase):
    """The outcomes of calls that the pool reports to Health."""

    def setUp(self) -> None:
        self.log = Logged(self)
        self.connection = Connection()
        self.refused: Exception | None = None
        self.release = threading.Event()
        self.patch(libvirt_pool, "open_connection", self.open)
        self.patch(libvirt_pool, "close", lambda connection: None)
        self.time = HeldTime()  # the speed of threads varies
        self.pool = ConnectionPool(self.time, "qemu:///system", workers=1, deadline=2.0)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.addCleanup(self.release.set)

    def open(self, _uri: str) -> Connection:
        if self.refused is not None:
            raise self.refused
        return self.connection

    async def test_accepts_and_never_answers(self) -> None:
        """The socket accepts connections, but libvirtd never answers, as with max_clients."""
        opening: Deferred[None] = Deferred()

        def hang(_uri: str) -> Connection:
            reactor.callFromThread(opening.callback, None)  # type: ignore[attr-defined]
            self.release.wait(30)
            return self.connection

        self.patch(libvirt_pool, "open_connection", hang)
        call = self.pool.run(lambda c: 1)
        await opening
        self.time.spend(2.0)
        await self.assertFailure(call, ServiceUnavailable)
        for _ in range(2):
            await self.assertFailure(self.pool.run(lambda c: 1), ServiceUnavailable)
        self.assertEqual(len(self.log.lines("can't be reached (a call was not answered within 2 s)")), 1)
        self.release.set()
        await self.works()
        self.assertEqual(len(self.log.lines("answers again")), 1)

    async def works(self) -> None:
        """Repeat a call until it is answered."""
        answer: Any = None
        while answer != 1:
            try:
                answer = await self.pool.run(lambda c: 1)
            except ServiceUnavailable:
                await deferLater(reactor, 0)

    async def test_cannot_be_opened(self) -> None:
        for code in (libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_UNAVAILABLE):
            self.log.clear()
            self.refused = Error(code)
            for _ in range(3):
                await self.assertFailure(self.pool.run(lambda c: 1), ServiceUnavailable)
            self.assertEqual(len(self.log.lines("can't be reached (refused by the test)")), 1)
            self.refused = None
            await self.works()
            self.assertEqual(len(self.log.lines("answers again")), 1)
            self.connection.alive = False
            self.connection = Connection()  # the dead one is replaced at the next call

    async def test_a_call_that_is_refused(self) -> None:
        def denied(_connection: Connection) -> None:
            raise Error(libvirt.VIR_ERR_OPERATION_DENIED)

        for _ in range(3):
            await self.assertFailure(self.pool.run(denied), ServiceUnavailable)
        self.assertEqual(len(self.log.lines("refuses a call: refused by the test")), 1)
        self.assertEqual(self.log.lines("can't be reached"), [])

    async def test_no_such_domain_is_an_answer(self) -> None:
        def unknown(_connection: Connection) -> None:
            raise Error(libvirt.VIR_ERR_NO_DOMAIN)

        await self.assertFailure(self.pool.run(unknown), InstanceNotFound)
        self.assertEqual(self.log.lines("libvirt"), [])


class AnswersTests(TestCase):
    """CONNECTED is reported when events arrive and calls work, not when only one of them does."""

    async def setUp(self) -> None:
        self.events_open = threading.Event()
        self.addCleanup(self.events_open.set)
        self.failures = 0
        self.patch(libvirt_pool, "open_connection", self.open_for_calls)
        self.patch(libvirt_watch, "open_connection", self.open_for_events)
        self.patch(libvirt_watch, "_LOOK", 0.01)
        self.driver = WatchedDriver("test:///default")
        await self.driver.start(lambda event: None)
        self.addCleanup(self.driver.stop)

    def open_for_calls(self, uri: str) -> Any:
        if self.failures:
            self.failures -= 1
            raise Error(libvirt.VIR_ERR_NO_CONNECT)
        return open_connection(uri)

    def open_for_events(self, uri: str) -> Any:
        self.events_open.wait()
        return open_connection(uri)

    def changes(self) -> list[Change]:
        return [event.change for event in self.driver.events]

    async def test_calls_fail_when_events_are_back(self) -> None:
        """The driver itself repeats a call, because an idle host has no other calls."""
        self.failures = 3
        await self.assertFailure(self.driver.list_domains(), ServiceUnavailable)
        self.events_open.set()
        await self.driver.seen(Change.CONNECTED)
        await self.driver.list_domains()
        self.assertEqual(self.changes(), [Change.DISCONNECTED, Change.CONNECTED])

    async def test_calls_work_while_events_are_missing(self) -> None:
        self.failures = 1
        await self.assertFailure(self.driver.list_domains(), ServiceUnavailable)
        await self.driver.list_domains()
        self.assertEqual(self.changes(), [Change.DISCONNECTED])
        self.events_open.set()
        await self.driver.seen(Change.CONNECTED)
        self.assertEqual(self.changes(), [Change.DISCONNECTED, Change.CONNECTED])
