"""Publication: when a compute host publishes its servers, and which parts it writes."""

from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, fail

from novnc_twisted.compute import ComputeManager
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART, FEW, RECONCILIATION, RENEWAL, SOON
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.domain_directory import DomainDirectory
from novnc_twisted.messaging.domain_record import GROUP, KEPT, DomainRecord
from novnc_twisted.messaging.interfaces import TopicInUse
from tests.compute.harness import A, B, FakeDriver, domain
from tests.compute.test_published import PublishedCase


class PublicationTests(PublishedCase):
    async def names(self, host: str = "one") -> list[str]:
        directory = DomainDirectory(self.transport, lambda host, domain: (host, domain["uuid"], domain["name"]))
        await directory.look()
        known = [directory.entries(uuid).get(host) for uuid in (*self.one.domains, A, B)]
        return sorted({entry[2] for entry in known if entry})

    def written(self) -> list[str]:
        """Record the keys that are written from now on."""
        keys: list[str] = []
        put = self.transport.store.put

        def recorded(key: str, *arguments: Any, **more: Any) -> Any:
            keys.append(key)
            return put(key, *arguments, **more)

        self.patch(self.transport.store, "put", recorded)
        return keys

    async def test_a_change_is_published_soon(self) -> None:
        self.clock.advance(APART)
        for change in (Change.DEFINED, Change.DESCRIBED, Change.STARTED, Change.STATE, Change.STOPPED):
            self.one.add(domain(A, f"a-{change.value}"))
            self.one.tell(change, A)
            self.clock.advance(SOON)
            self.assertEqual(await self.names(), [f"a-{change.value}"])
            self.clock.advance(APART)

    async def test_a_change_of_one_of_thousands_writes_little(self) -> None:
        self.one.add(*(domain(f"{n:08x}-2222-3333-4444-555555555555", f"vm{n}") for n in range(2000)))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)
        self.one.asked.clear()
        keys = self.written()
        self.one.add(domain(A, "renamed", project_id="red"))
        self.one.tell(Change.DESCRIBED, A)
        self.clock.advance(APART)
        self.assertEqual((len(keys), self.one.asked), (2, ["get_domain"]))
        self.assertEqual(keys[1], "domains:one")
        self.assertIn("renamed", await self.names())

    async def test_a_host_that_starts_again_writes_nothing_anew(self) -> None:
        self.one.add(*(domain(f"{n:08x}-2222-3333-4444-555555555555", f"vm{n}") for n in range(200)))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)
        await self.managers["one"].stop()
        keys = self.written()
        again = await self.host("one")
        again.domains = self.one.domains
        again.tell(Change.CONNECTED)
        self.clock.advance(SOON)
        self.assertEqual(keys, ["domains:one"])

    async def test_a_domain_that_can_not_be_read_alone(self) -> None:
        self.one.get_domain = lambda _uuid: fail(ServiceUnavailable("bad XML"))  # type: ignore[method-assign]
        self.one.add(domain(A, "a2"))
        self.one.tell(Change.DESCRIBED, A)
        self.clock.advance(APART)
        self.assertEqual(await self.listed(), [("a2", "running", "one"), ("b", "running", "two")])

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

    async def test_events_before_the_start(self) -> None:
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
        self.one.asked.clear()
        for number in range(FEW + 1):
            self.one.add(domain(f"{number:08x}-2222-3333-4444-555555555555", f"vm{number}"))
            self.one.tell(Change.DEFINED, f"{number:08x}-2222-3333-4444-555555555555")
        self.clock.advance(APART)
        self.assertEqual(len(await self.names()), FEW + 2)
        self.assertEqual(self.one.asked, ["list_domains"])

    async def test_a_store_that_lost_its_data(self) -> None:
        await self.transport.store.remove("domains:one", "domains:one/1.0")
        await self.transport.store.leave(GROUP, "one")
        self.clock.pump([RENEWAL, APART])
        self.assertEqual(await self.names(), ["a"])
        self.assertIn("one", await self.transport.store.members(GROUP, 60))

    async def test_a_store_that_lost_a_part(self) -> None:
        await self.transport.store.remove("domains:one/1.0")
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])  # host one is asked
        self.clock.pump([RENEWAL] * 11)
        self.assertEqual(await self.names(), ["a"])

    async def test_events_delay_no_renewal(self) -> None:
        """Although events arrive all the time, all domains are read after RECONCILIATION seconds."""
        self.one.domains.clear()  # without an event
        self.one.add(domain(B, "busy"))
        self.one.asked.clear()
        for _ in range(round(RECONCILIATION / (RENEWAL / 2)) + 2):
            self.one.tell(Change.STATE, B)
            self.clock.pump([RENEWAL / 2])
        self.assertEqual((await self.names(), self.one.asked.count("list_domains")), (["busy"], 1))

    async def test_a_renewal_that_fails_delays_no_change(self) -> None:
        for error in (ServiceUnavailable("no right"), ZeroDivisionError()):
            self.clock.pump([RENEWAL, APART])
            renewals = []

            def failing(*_: Any, error: Exception = error, renewals: list[None] = renewals, **__: Any) -> Any:
                renewals.append(None)
                return fail(error)

            with mock.patch.object(DomainRecord, "renew", failing):
                self.clock.pump([1.0] * int(RENEWAL))
                self.one.add(domain(A, type(error).__name__))
                self.one.tell(Change.DESCRIBED, A)
                self.clock.pump([1.0] * int(RENEWAL / 2))
                self.assertEqual(await self.names(), [type(error).__name__])
            self.assertLessEqual(len(renewals), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), len(renewals))

    async def test_little_is_read_while_nothing_changes(self) -> None:
        self.one.asked.clear()
        self.clock.pump([1.0] * int(RECONCILIATION))
        self.assertLessEqual(len(self.one.asked), 1)

    async def test_a_change_without_an_event(self) -> None:
        self.one.add(domain(A, "a", vcpus=4))
        self.clock.pump([RENEWAL] * 11)
        self.assertEqual([one.vcpus for one in await self.api.list_instances()], [4, 1])

    async def test_it_is_kept_as_long_as_the_host_lives(self) -> None:
        for _ in range(10):
            self.clock.advance(RENEWAL)
        await self.managers["one"].stop()
        self.clock.advance(KEPT - 10 * RENEWAL)
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
        self.assertEqual(len(self.log.lines("are published again")), 1)
        self.assertEqual(await self.names(), [])
        self.assertEqual(await self.listed(), [("b", "running", "two")])

    async def test_an_unexpected_exception_loses_no_change(self) -> None:
        """If reading a domain or writing the record raises an exception, a later attempt publishes the change."""
        for owner, method in ((self.one, "get_domain"), (DomainRecord, "write")):
            name = f"a-{method}"
            with mock.patch.object(owner, method, lambda *_, **__: fail(ZeroDivisionError())):
                self.one.add(domain(A, name))
                self.one.tell(Change.DESCRIBED, A)
                self.clock.pump([1.0] * 20)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.clock.pump([1.0] * 6)
            self.assertEqual(await self.names(), [name])

    async def test_a_bug_hides_no_outage(self) -> None:
        for error in (ZeroDivisionError(), ServiceUnavailable("Redis is down")):
            with mock.patch.object(DomainRecord, "write", lambda *_, error=error, **__: fail(error)):
                self.one.tell(Change.DESCRIBED, A)
                self.clock.pump([1.0] * 20)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.log.lines("can't be published (")), 1)

    async def test_more_than_a_part_holds(self) -> None:
        text = "😀" * 1024  # 4 KiB
        long = dict.fromkeys(("project_id", "project_name", "user_id", "user_name", "created"), text)
        self.one.add(*(domain(f"{n:08x}-2222-3333-4444-555555555555", f"vm{n}", **long) for n in range(60)))
        for number in range(60):  # one by one, so that all go into the one part that there is
            self.one.tell(Change.DEFINED, f"{number:08x}-2222-3333-4444-555555555555")
            self.clock.advance(APART)
        self.assertTrue(self.log.lines("too many domains to publish"))
        self.assertIn(len(await self.names()), range(45, 60))

    async def test_stop_leaves_nothing(self) -> None:
        for manager in self.managers.values():
            await manager.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
