"""Servers of a compute host that is not there: what it published stands for it, in an unknown state."""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from novnc_twisted.compute import ComputeManager
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART, RENEWAL, SOON
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.domain_locations import GROUP, KEPT, DomainLocations
from novnc_twisted.messaging.interfaces import TopicInUse
from tests.compute.harness import A, B, ComputeCase, FakeDriver, domain
from tests.support.logged import Logged

C = "cccccccc-2222-3333-4444-555555555555"


class PublishedCase(ComputeCase):
    """Host ``one`` with a server of project red, host ``two`` with another one."""

    async def setUp(self) -> None:
        await super().setUp()
        self.log = Logged(self)
        self.locations = DomainLocations(self.transport.store)
        self.one, self.two = await self.host("one"), await self.host("two")
        self.one.add(domain(A, "a", project_id="red", user_name="alice", created="2026-11-22T10:11:12Z"))
        self.two.add(domain(B, "b"))
        for driver in (self.one, self.two):
            driver.tell(Change.CONNECTED)
        self.clock.advance(SOON)

    async def listed(self) -> list[tuple[str, str, str]]:
        return [(one["name"], one["state"], one["host"]) for one in await self.api.list_instances()]

    async def hangs(self, driver: FakeDriver) -> None:
        """It is alive by its presence, and never answers a list."""
        driver.list_domains = lambda: Deferred()  # type: ignore[method-assign]


class ListTests(PublishedCase):
    """What the API lists."""

    async def test_a_dead_host(self) -> None:
        await self.managers["one"].stop()
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])
        (server, _) = await self.api.list_instances()
        self.assertEqual((server["project_id"], server["user_name"], server["vcpus"]), ("red", "alice", 1))
        self.assertEqual((server["created"], server["power_state"]), ("2026-11-22T10:11:12Z", 0))
        self.assertEqual(self.log.lines("did not list"), [])

    async def test_every_host_is_dead(self) -> None:
        for manager in self.managers.values():
            await manager.stop()
        await self.refused(ServiceUnavailable, self.listed())

    async def test_a_slow_answer_is_better_than_none(self) -> None:
        await self.managers["two"].stop()
        answers: list[Any] = [Deferred(), succeed([domain(A, "a")])]
        self.one.list_domains = lambda: answers.pop(0)  # type: ignore[method-assign]
        listing = Deferred.fromCoroutine(self.listed())
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(listing), [("a", "running", "one"), ("b", "unknown", "two")])

    async def test_a_host_whose_libvirt_is_down(self) -> None:
        self.one.down = True
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])

    async def test_a_host_that_hangs_is_not_waited_for_long(self) -> None:
        await self.hangs(self.one)
        listing = Deferred.fromCoroutine(self.listed())
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(listing), [("a", "unknown", "one"), ("b", "running", "two")])

    async def test_it_runs_elsewhere_now(self) -> None:
        await self.managers["one"].stop()
        self.two.add(domain(A, "a"))
        self.assertEqual(await self.listed(), [("a", "running", "two"), ("b", "running", "two")])

    async def test_it_is_back(self) -> None:
        await self.managers["one"].stop()
        await self.managers["one"].start()
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])

    async def test_a_store_that_does_not_answer_costs_nobody_the_list(self) -> None:
        await self.managers["one"].stop()

        async def silent(*_arguments: Any) -> Any:
            raise ServiceUnavailable("Redis is gone")

        self.patch(self.transport.store, "members", lambda *_: Deferred.fromCoroutine(silent()))
        self.assertEqual(await self.listed(), [("b", "running", "two")])
        self.assertEqual(len(self.log.lines("Redis is gone")), 1)
        await self.refused(ServiceUnavailable, self.api.last_known(A))

    async def test_what_is_published_is_judged(self) -> None:
        await self.managers["one"].stop()
        store = self.transport.store
        for record in ({}, {"domains": 5}, {"domains": [5, [], ["x"] * 9, [A, "a\n", *[None] * 7]]}):
            await store.put("domains:one", record, 60)
            self.assertEqual(await self.listed(), [("b", "running", "two")])
        await store.join(GROUP, "no name\tof a host", 60)
        await store.put("domains:one", {"domains": [[A, "a", 5, "p\0", [], {}, "c", -1, "x"]]}, 60)
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])

    async def test_one_bad_record_hides_no_other_host(self) -> None:
        three = await self.host("three")
        three.add(domain(C, "c"))
        three.tell(Change.CONNECTED)
        self.clock.advance(SOON)
        await self.managers["one"].stop()
        await self.managers["three"].stop()
        await self.transport.store.put("domains:one", {"domains": 5}, 60)
        self.assertEqual(await self.listed(), [("b", "running", "two"), ("c", "unknown", "three")])
        self.assertEqual((await self.api.last_known(C) or {})["host"], "three")
        await self.refused(ServiceUnavailable, self.api.last_known(A))  # host one may have it

    async def test_last_known(self) -> None:
        self.assertIsNone(await self.api.last_known(A))
        await self.managers["one"].stop()
        found = await self.api.last_known(A)
        self.assertEqual((found["name"], found["host"], found["project_id"]), ("a", "one", "red"))
        self.assertIsNone(await self.api.last_known(B))

    async def test_a_host_that_is_gone_for_good(self) -> None:
        await self.managers["one"].stop()
        await self.managers["two"].stop()
        await self.transport.store.remove("domains:one", "domains:two")  # as their time does
        self.assertEqual(await self.locations.away([]), {})
        self.assertEqual(await self.transport.store.members(GROUP, 60), [])

    async def test_thousands_on_one_host(self) -> None:
        """More than one answer has room for; every page fits into it."""
        self.one.add(*(domain(f"{number:08x}-2222-3333-4444-555555555555", "名" * 50) for number in range(3000)))
        self.assertEqual(len(await self.listed()), 3002)
        self.assertGreater(self.one.asked.count("list_domains"), 3)


class PublicationTests(PublishedCase):
    """When a host publishes, and what."""

    async def names(self, host: str = "one") -> list[str]:
        return [one["name"] for one in await self.locations.of(host) or []]

    async def test_a_change_is_published_soon(self) -> None:
        self.clock.advance(APART)
        for change in (Change.DEFINED, Change.DESCRIBED, Change.STARTED, Change.STOPPED, Change.UNDEFINED):
            self.one.add(domain(A, f"a-{change.value}"))
            self.one.tell(change, A)
            self.clock.advance(SOON)
            self.assertEqual(await self.names(), [f"a-{change.value}"])
            self.clock.advance(APART)

    async def test_a_second_host_of_this_name_publishes_nothing(self) -> None:
        driver = FakeDriver(self.clock)
        driver.add(domain(B, "other"))
        second = ComputeManager(self.transport, driver, host="one")
        starting = second.start()
        driver.tell(Change.CONNECTED)
        await self.assertFailure(starting, TopicInUse)
        self.clock.pump([1.0] * 10)
        self.assertEqual(await self.names(), ["a"])
        await second.stop()

    async def test_what_came_before_it_served(self) -> None:
        driver = FakeDriver(self.clock)
        driver.add(domain(A, "early"))
        serve = self.transport.serve
        claiming: Deferred[None] = Deferred()
        self.patch(self.transport, "serve", lambda *args, **more: claiming.addCallback(lambda _: serve(*args, **more)))
        manager = ComputeManager(self.transport, driver, host="three")
        starting = manager.start()
        driver.tell(Change.CONNECTED)
        self.clock.advance(APART)
        self.assertEqual(await self.names("three"), [])
        claiming.callback(None)
        await starting
        self.clock.advance(SOON)
        self.assertEqual(await self.names("three"), ["early"])
        await manager.stop()

    async def test_many_changes_are_one_publication(self) -> None:
        self.clock.advance(APART)
        before = self.one.asked.count("list_domains")
        for number in range(100):
            self.one.add(domain(A, f"a-{number}"))
            self.one.tell(Change.DESCRIBED, A)
            self.clock.advance(0.01)
        self.clock.advance(APART)
        self.assertEqual(await self.names(), ["a-99"])
        self.assertLessEqual(self.one.asked.count("list_domains") - before, 2)

    async def test_a_store_that_lost_its_data(self) -> None:
        await self.transport.store.remove("domains:one", "domains:two")
        await self.transport.store.leave(GROUP, "one")
        self.clock.advance(RENEWAL)
        self.assertEqual(await self.names(), ["a"])
        self.assertIn("one", await self.transport.store.members(GROUP, 60))

    async def test_nothing_is_read_where_nothing_changes(self) -> None:
        before = len(self.one.asked)
        self.clock.pump([1.0] * 600)
        self.assertEqual(len(self.one.asked), before)

    async def test_it_is_kept_as_long_as_the_host_lives(self) -> None:
        for _ in range(10):
            self.clock.advance(RENEWAL)
        await self.managers["one"].stop()
        self.clock.advance(KEPT - RENEWAL)
        self.assertEqual(await self.names(), ["a"])

    async def test_libvirt_is_down_meanwhile(self) -> None:
        self.one.down = True
        self.one.tell(Change.STOPPED, A)
        self.clock.pump([1.0] * 30)
        self.assertEqual(len(self.log.lines("can't be published")), 1)
        self.assertEqual(await self.names(), ["a"])
        self.one.down = False
        self.one.domains.clear()
        self.clock.pump([1.0] * 6)
        self.assertEqual(await self.names(), [])

    async def test_more_than_a_record_holds(self) -> None:
        self.one.add(*(domain(f"{number:08x}-2222-3333-4444-555555555555", "名" * 100) for number in range(3000)))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)
        self.assertEqual(len(self.log.lines("too many to be published")), 1)
        self.assertGreater(len(await self.names()), 1000)

    async def test_stop_leaves_nothing(self) -> None:
        for manager in self.managers.values():
            await manager.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
