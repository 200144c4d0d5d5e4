"""Calls to several hosts: one that hangs hides no other, and only likely hosts are asked."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.compute import ComputeAPI
from novnc_twisted.compute.domain_xml import Domain
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART, SOON
from novnc_twisted.errors import InstanceNotFound, InstanceNotRunning, ServiceUnavailable
from novnc_twisted.messaging import domain_directory
from novnc_twisted.messaging.domain_directory import MAX_AGE
from tests.compute.harness import A, B, ComputeCase, FakeDriver, domain


class ApiTests(ComputeCase):
    """find, list_instances, get_vnc_console."""

    async def hang(self, name: str) -> None:
        """Add a live host that never answers."""

        async def never(**_arguments: object) -> None:
            await Deferred()

        methods = dict.fromkeys(("get_instance", "list_instances", "get_vnc_console"), never)
        await self.transport.serve(f"compute.{name}", methods, binary="nova-compute", host=name)

    async def test_hosts(self) -> None:
        self.assertEqual(await self.api.hosts(), [])
        await self.host("two")
        await self.host("one")
        self.assertEqual(await self.api.hosts(), ["one", "two"])

    async def test_list(self) -> None:
        one, two = await self.host("one"), await self.host("two")
        one.add(domain(A, "b"))
        two.add(domain(B, "a"))
        self.assertEqual([i.name for i in await self.api.list_instances()], ["a", "b"])

    async def test_each_once_where_it_is_active(self) -> None:
        one, two, three = await self.host("one"), await self.host("two"), await self.host("three")
        for driver in (one, three):
            driver.add(domain(active=False, state="shutoff", power_state=4))
        two.add(domain())
        self.assertEqual([(i.uuid, i.host) for i in await self.api.list_instances()], [(A, "two")])
        self.assertEqual((await self.api.find(A)).host, "two")

    async def test_while_it_migrates(self) -> None:
        """A host where a migration has paused the server does not count."""
        for name, here in (("one", {"migrating": True, "state": "paused", "power_state": 3}), ("two", {})):
            (await self.host(name)).add(domain(**here))
        self.assertEqual([i.host for i in await self.api.list_instances()], ["two"])
        self.assertEqual((await self.api.find(A)).host, "two")
        self.assertEqual((await self.api.get_vnc_console(A, "novnc")).connect_info.compute_host, "two")

    async def test_a_host_that_hangs_hides_no_other(self) -> None:
        (await self.host("one")).add(domain())
        await self.hang("two")
        listing = Deferred.fromCoroutine(self.api.list_instances())
        self.clock.advance(5)
        self.assertEqual(len(await listing), 1)
        self.assertEqual((await self.api.find(A)).host, "one")  # without waiting for host two

    async def test_a_host_that_hangs_may_have_it(self) -> None:
        await self.host("one")
        await self.hang("two")
        finding = Deferred.fromCoroutine(self.api.find(A))
        self.clock.advance(5)
        await self.assertFailure(finding, ServiceUnavailable)

    async def test_a_list_ends_at_the_deadline(self) -> None:
        """Even if it leaves no time for a second round of calls, or not for the whole first round."""
        await self.hang("one")
        for deadline in (1.0, 2.0, 3.0):
            listing = Deferred.fromCoroutine(ComputeAPI(self.transport, deadline=deadline).list_instances())
            self.clock.pump([0.5] * int(2 * deadline))
            self.failureResultOf(listing, ServiceUnavailable)

    async def test_no_host_answers(self) -> None:
        (await self.host("one")).down = True
        await self.refused(ServiceUnavailable, self.api.list_instances())
        await self.refused(ServiceUnavailable, self.api.find(A))

    async def test_the_host_is_named_once(self) -> None:
        """Even if its name is a part of the error's text."""
        (await self.host("virt")).down = True
        refusal = await self.refused(ServiceUnavailable, self.api.find(A))
        self.assertEqual(refusal.detail, "compute host virt: libvirt is down")
        await self.managers["virt"].stop()
        await self.hang("compute")
        finding = Deferred.fromCoroutine(self.api.find(A))
        self.clock.advance(5)
        refusal = self.failureResultOf(finding, ServiceUnavailable).value
        self.assertEqual(refusal.detail, "compute.compute did not answer within 5 s")

    async def test_no_host_is_live(self) -> None:
        """The list fails: an empty list would mean that there are no servers."""
        await self.refused(ServiceUnavailable, self.api.list_instances())
        await self.refused(ServiceUnavailable, self.api.find(A))

    async def test_a_host_that_has_just_come_back(self) -> None:
        """A recent look that found no host does not make the next list fail."""
        api = ComputeAPI(self.transport, now=self.clock.seconds)
        services = self.transport.services

        def slow(prefix: str) -> Any:
            self.clock.advance(1)
            return services(prefix)

        self.patch(self.transport, "services", slow)
        await self.refused(ServiceUnavailable, api.list_instances())
        (await self.host("one")).add(domain(A))
        self.assertEqual([one.uuid for one in await api.list_instances()], [A])

    async def test_a_host_without_servers(self) -> None:
        await self.host("one")
        self.assertEqual(await self.api.list_instances(), [])

    async def test_unknown(self) -> None:
        await self.host("one")
        await self.host("two")
        await self.refused(InstanceNotFound, self.api.find(A))
        await self.refused(InstanceNotFound, self.api.find("myserver20"))

    async def test_get_vnc_console(self) -> None:
        await self.host("one")
        (await self.host("two")).add(domain())
        info = (await self.api.get_vnc_console(A, "novnc")).connect_info
        self.assertEqual((info.compute_host, info.instance_uuid), ("two", A))

    async def test_a_stopped_server(self) -> None:
        (await self.host("one")).add(domain(active=False, state="shutoff"))
        await self.refused(InstanceNotRunning, self.api.get_vnc_console(A, "novnc"))

    async def test_a_caller_that_gives_up(self) -> None:
        await self.hang("one")
        finding = Deferred.fromCoroutine(self.api.find(A))
        finding.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        finding.addErrback(lambda failure: None)


class LookupTests(ComputeCase):
    """Look-ups by published records: only the host that has the server is asked."""

    async def setUp(self) -> None:
        await super().setUp()
        for number in range(20):
            driver = await self.host(f"host{number}")
            driver.add(domain(f"{number:08x}-2222-3333-4444-555555555555", f"vm{number}", 5901))
            driver.tell(Change.CONNECTED)
        self.last = driver
        self.last.add(domain())
        self.clock.advance(SOON)
        self.calls: list[tuple[str, str]] = []
        call = self.transport.call

        def counted(topic: str, method: str, /, **arguments: Any) -> Deferred[Any]:
            self.calls.append((topic, method))
            return call(topic, method, **arguments)

        self.patch(self.transport, "call", counted)

    async def publish(self, driver: FakeDriver, change: Change, changed: Domain) -> None:
        driver.add(changed)
        driver.tell(change, changed.uuid)
        self.clock.advance(APART)

    async def test_one_call(self) -> None:
        self.assertEqual((await self.api.find(A.upper())).host, "host19")
        self.assertEqual(self.calls, [("compute.host19", "get_instance")])

    async def test_a_link(self) -> None:
        server = await self.api.find(A)
        console = await self.api.get_vnc_console(A, "novnc", host=server.host)
        self.assertEqual(console.connect_info.compute_host, "host19")
        self.assertEqual([method for _, method in self.calls], ["get_instance", "get_vnc_console"])

    async def test_a_stopped_server(self) -> None:
        await self.publish(self.last, Change.STOPPED, domain(active=False, state="shutoff"))
        self.assertEqual((await self.api.find(A)).state, "shutoff")
        self.assertEqual(len(self.calls), 1)

    async def test_not_published_yet(self) -> None:
        self.last.add(domain(B))
        self.assertEqual((await self.api.find(B)).host, "host19")
        self.assertEqual(len(self.calls), 20)

    async def test_unknown_in_a_large_cloud(self) -> None:
        """A host whose record is current is not asked: its record shows that it lacks the server."""
        self.patch(domain_directory, "MAX_ASKED", 5)
        await self.refused(InstanceNotFound, self.api.find(B))
        self.assertEqual(self.calls, [])
        self.drivers["host3"].down = True
        self.drivers["host3"].tell(Change.DISCONNECTED)
        self.clock.pump([APART, 1.0])
        await self.refused(ServiceUnavailable, self.api.find(B))
        self.assertEqual(self.calls, [("compute.host3", "get_instance")])

    async def test_it_has_moved_and_that_is_not_published_yet(self) -> None:
        driver = self.drivers["host3"]
        for left in ({}, {A: domain(active=False, state="shutoff")}):
            self.last.domains = left
            driver.add(domain())
            self.assertEqual((await self.api.find(A)).host, "host3")

    async def test_it_migrates(self) -> None:
        self.last.add(domain(state="paused", migrating=True))
        self.drivers["host3"].add(domain())
        self.assertEqual((await self.api.find(A)).host, "host3")

    async def test_it_leaves_between_the_look_up_and_the_link(self) -> None:
        server = await self.api.find(A)
        self.last.domains.clear()
        await self.publish(self.drivers["host3"], Change.STARTED, domain())
        console = await self.api.get_vnc_console(A, "novnc", host=server.host)
        self.assertEqual(console.connect_info.compute_host, "host3")

    async def test_on_two_hosts(self) -> None:
        await self.publish(self.drivers["host3"], Change.DEFINED, domain(active=False, state="shutoff"))
        self.assertEqual((await self.api.find(A)).host, "host19")
        self.assertEqual(len(self.calls), 2)

    async def test_its_host_is_dead(self) -> None:
        await self.managers["host19"].stop()
        await self.refused(InstanceNotFound, self.api.find(A))
        self.assertEqual(getattr(await self.api.last_known(A), "host", None), "host19")
        await self.publish(self.drivers["host3"], Change.STARTED, domain())
        self.assertEqual((await self.api.find(A)).host, "host3")

    async def test_its_host_hangs(self) -> None:
        self.last.get_domain = lambda _uuid: Deferred()  # type: ignore[method-assign]
        finding = Deferred.fromCoroutine(self.api.find(A))
        self.clock.advance(5)
        await self.assertFailure(finding, ServiceUnavailable)

    async def test_a_recent_look_is_used(self) -> None:
        """A look is used again for a while; a server that it does not show causes another look."""
        api = ComputeAPI(self.transport, now=self.clock.seconds)
        looks = 0
        services = self.transport.services

        def slow(prefix: str) -> Any:
            nonlocal looks
            looks += 1
            self.clock.advance(0.01)
            return services(prefix)

        self.patch(self.transport, "services", slow)
        for _ in range(3):
            await api.find(A)
        self.assertEqual(looks, 1)
        self.drivers["host3"].add(domain(B))
        self.assertEqual((await api.find(B)).host, "host3")
        self.assertEqual(looks, 2)
        self.clock.advance(MAX_AGE)
        await api.find(A)
        self.assertEqual(looks, 3)
