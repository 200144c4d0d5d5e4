"""The pool with fake connections: threads that hang, and connections that end."""

import threading
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from novnc_twisted.compute.libvirt import pool as libvirt_pool
from novnc_twisted.compute.libvirt.health import CALLS
from novnc_twisted.compute.libvirt.pool import MAX_WAITING, ConnectionPool
from novnc_twisted.errors import ServiceUnavailable
from tests.support.held_time import HeldTime

DEADLINE = 2.0


class Connection:
    """A connection that records its thread."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.dead = False
        self.closed_in: threading.Thread | None = None


class Broken(Exception):
    """The error of a dead connection."""


class PoolTests(TestCase):
    """On the real reactor; deadlines pass only when the test lets them, because the speed of threads varies."""

    async def setUp(self) -> None:
        self.connections: list[Connection] = []
        self.time = HeldTime()
        self.release = threading.Event()
        self.work_done: list[int] = []
        self.hangs: Deferred[None] = Deferred()
        self.addCleanup(self.release.set)
        self.patch(libvirt_pool, "open_connection", self.open)
        self.patch(libvirt_pool, "close", self.close)
        self.patch(libvirt_pool, "unusable", lambda connection: connection.dead)

    def open(self, uri: str) -> Connection:
        self.connections.append(Connection())
        return self.connections[-1]

    def close(self, connection: Connection) -> None:
        connection.closed_in = threading.current_thread()

    def pool(self, **settings: Any) -> ConnectionPool:
        pool = ConnectionPool(self.time, "test:", **settings)
        pool.start()
        self.addCleanup(pool.stop)
        self.addCleanup(self.release.set)  # runs before pool.stop
        return pool

    def hang(self, _connection: Connection) -> str:
        reactor.callFromThread(self.hangs.callback, None)
        self.release.wait(30)
        return "late"

    async def hung(self, pool: ConnectionPool) -> ServiceUnavailable:
        """Make a call that hangs, and return its refusal at the deadline."""
        call = pool.run(self.hang)
        await self.hangs
        self.time.spend(DEADLINE)
        refusal: ServiceUnavailable = await self.assertFailure(call, ServiceUnavailable)
        return refusal

    async def test_one_connection_for_each_thread(self) -> None:
        pool = self.pool(workers=3)
        seen = await gatherResults([pool.run(lambda c: (c.thread, threading.current_thread())) for _ in range(50)])
        self.assertTrue(all(owner is user for owner, user in seen))
        self.assertLessEqual(len(self.connections), 3)
        await pool.stop()
        self.assertTrue(all(connection.closed_in is connection.thread for connection in self.connections))

    async def test_no_more_connections_than_needed(self) -> None:
        """libvirtd limits its clients, and opening a connection may be slow."""
        pool = self.pool(workers=4)
        for number in range(20):
            self.assertEqual(await pool.run(lambda c, n=number: n), number)
        self.assertEqual(len(self.connections), 1)

    async def test_deadline_and_recovery(self) -> None:
        pool = self.pool(workers=1, deadline=DEADLINE)
        refusal = await self.hung(pool)
        self.assertIn("within 2 s", refusal.detail)
        refusal = await self.assertFailure(pool.run(lambda c: 1), ServiceUnavailable)
        self.assertIn("hangs", refusal.detail)  # refused without a call
        self.release.set()
        while pool.hung:
            await reactor_iteration()
        self.assertEqual(await pool.run(lambda c: 2), 2)

    async def test_an_observer_of_the_health_that_fails(self) -> None:
        """The calls get their results, and the thread goes on."""

        def fails(*_: str) -> None:
            raise RuntimeError("a bug")

        pool = self.pool(workers=1, health=cast(Any, SimpleNamespace(well=fails)))
        for number in range(3):
            self.assertEqual(await pool.run(lambda c, n=number: n), number)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    async def test_one_that_hangs_does_not_stop_the_others(self) -> None:
        pool = self.pool(workers=2, deadline=DEADLINE)
        await self.hung(pool)
        for number in range(20):
            self.assertEqual(await pool.run(lambda c, n=number: n), number)

    async def test_callers_that_give_up_do_not_hide_a_hang(self) -> None:
        pool = self.pool(workers=1, deadline=DEADLINE)
        call = pool.run(self.hang)
        await self.hangs
        call.cancel()
        await self.assertFailure(call, CancelledError)
        waiting = pool.run(lambda c: 1)
        self.time.spend(DEADLINE)
        await self.assertFailure(waiting, ServiceUnavailable)
        self.assertIn("hangs", (await self.assertFailure(pool.run(lambda c: 1), ServiceUnavailable)).detail)

    async def test_a_call_that_waits_for_a_thread_does_not_hang(self) -> None:
        """A call that waited counts as hung only when it has run for the whole deadline."""
        troubles: list[str] = []
        health = SimpleNamespace(trouble=lambda _source, reason: troubles.append(reason), well=lambda _source: None)
        pool = self.pool(workers=1, deadline=DEADLINE, health=cast(Any, health))
        slow = threading.Event()
        self.addCleanup(slow.set)
        calls = [pool.run(work) for work in (lambda c: slow.wait(30), self.hang, lambda c: 1)]
        self.time.spend(1.5)
        slow.set()
        self.assertTrue(await calls[0])
        await self.hangs
        self.time.spend(DEADLINE - 1.5)
        for call in calls[1:]:
            await self.assertFailure(call, ServiceUnavailable)
        self.assertEqual((troubles, pool.hung), ([], 0))
        self.time.spend(1.5)
        self.assertEqual((troubles, pool.hung), (["a call was not answered within 2 s"], 1))

    async def test_the_number_of_calls_is_limited(self) -> None:
        pool = self.pool(workers=1, deadline=5)
        waiting = [pool.run(self.hang) for _ in range(MAX_WAITING)]
        refusal = await self.assertFailure(pool.run(lambda c: 1), ServiceUnavailable)
        self.assertIn("too slow", refusal.detail)
        for call in waiting[1:]:
            call.cancel()
            call.addErrback(lambda failure: failure.trap(CancelledError))
        self.release.set()
        self.assertEqual(await waiting[0], "late")

    async def test_a_connection_that_died_is_made_anew(self) -> None:
        pool = self.pool(workers=1)
        await pool.run(lambda c: None)
        self.connections[0].dead = True
        self.assertEqual(await pool.run(lambda c: self.connections.index(c)), 1)

    async def test_a_connection_that_dies_under_a_call(self) -> None:
        pool = self.pool(workers=1)
        await pool.run(lambda c: None)

        def work(connection: Connection) -> str:
            if connection is self.connections[0]:
                connection.dead = True
                raise Broken
            return "again"

        self.assertEqual(await pool.run(work), "again")

    def dying(self, connection: Connection) -> None:
        """On the first connection, hang until released; then the connection is dead, as if keepalive had closed it."""
        self.work_done.append(self.connections.index(connection))
        if connection is self.connections[0]:
            self.hang(connection)
            connection.dead = True
            raise Broken

    async def abandoned(self, pool: ConnectionPool, call: "Deferred[None]") -> None:
        """Let a call hang past its deadline, release it, and wait until its thread is free."""
        await self.hangs
        self.time.spend(DEADLINE)
        await self.assertFailure(call, ServiceUnavailable)
        self.release.set()
        while pool.hung:
            await reactor_iteration()

    async def test_an_abandoned_call_is_not_repeated(self) -> None:
        """A new connection shows that libvirt answers again."""
        health: list[str] = []
        observer = SimpleNamespace(
            trouble=lambda source, _reason: health.append(f"no {source}"), well=lambda source: health.append(source)
        )
        pool = self.pool(workers=1, deadline=DEADLINE, health=cast(Any, observer))
        await pool.run(lambda c: None)
        await self.abandoned(pool, pool.run(self.dying))
        self.assertEqual((self.work_done, len(self.connections)), ([0], 2))
        self.assertEqual(health, [CALLS, f"no {CALLS}", CALLS])

    async def test_an_abandoned_call_on_a_new_connection(self) -> None:
        """The call was abandoned while the connection was being opened."""

        def slow(uri: str) -> Connection:
            connection = self.open(uri)
            self.hang(connection)
            return connection

        self.patch(libvirt_pool, "open_connection", slow)
        pool = self.pool(workers=1, deadline=DEADLINE)
        await self.abandoned(pool, pool.run(lambda _connection: self.work_done.append(0)))
        self.assertEqual(self.work_done, [])

    async def test_an_action_is_not_repeated(self) -> None:
        """Its request may have reached libvirtd."""
        pool = self.pool(workers=1)
        await pool.run(lambda c: None)

        def action(connection: Connection) -> None:
            self.work_done.append(0)
            connection.dead = True
            raise Broken

        await self.assertFailure(pool.act(lambda c: c, action), Broken)
        self.assertEqual(self.work_done, [0])
        self.assertEqual(await pool.run(lambda c: self.connections.index(c)), 1)

    async def test_an_action_whose_look_up_fails(self) -> None:
        """The look-up is repeated on a new connection: the request has not reached libvirtd."""
        pool = self.pool(workers=1)
        await pool.run(lambda c: None)

        def find(connection: Connection) -> Connection:
            if connection is self.connections[0]:
                connection.dead = True
                raise Broken
            return connection

        self.assertEqual(await pool.act(find, lambda c: self.connections.index(c)), 1)

    async def test_an_abandoned_action(self) -> None:
        """The action does not begin if the look-up ends after the deadline."""
        pool = self.pool(workers=1, deadline=DEADLINE)
        await self.abandoned(pool, pool.act(self.hang, lambda _found: self.work_done.append(0)))
        self.assertEqual(self.work_done, [])

    async def test_a_libvirtd_that_always_dies(self) -> None:
        pool = self.pool(workers=1)

        def work(connection: Connection) -> None:
            connection.dead = True
            raise Broken

        for _ in range(3):
            await self.assertFailure(pool.run(work), Broken)
        self.assertTrue(all(connection.closed_in for connection in self.connections))

    async def test_stop_while_it_hangs(self) -> None:
        self.patch(libvirt_pool, "_CLOSING", 0.05)
        pool = self.pool(workers=1, deadline=5)
        call = pool.run(self.hang)
        call.addErrback(lambda failure: failure.trap(ServiceUnavailable))
        await pool.stop()
        self.assertTrue(call.called)


async def reactor_iteration() -> None:
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0, lambda: None)
