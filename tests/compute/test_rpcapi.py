"""All live hosts at once: none hides the others."""

from twisted.internet.defer import Deferred

from novnc_twisted.errors import InstanceNotFound, InstanceNotRunning, ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, domain


class ApiTests(ComputeCase):
    """find, list_instances, get_vnc_console."""

    async def hang(self, name: str) -> None:
        """A live host that never answers."""

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
        self.assertEqual([i["name"] for i in await self.api.list_instances()], ["a", "b"])

    async def test_each_once_where_it_is_active(self) -> None:
        one, two, three = await self.host("one"), await self.host("two"), await self.host("three")
        for driver in (one, three):
            driver.add(domain(active=False, state="shutoff", power_state=4))
        two.add(domain())
        self.assertEqual([(i["uuid"], i["host"]) for i in await self.api.list_instances()], [(A, "two")])
        self.assertEqual((await self.api.find(A))["host"], "two")

    async def test_while_it_migrates(self) -> None:
        """Where it is about to go, or came from, nobody looks for it."""
        for name, here in (("one", {"migrating": True, "state": "paused", "power_state": 3}), ("two", {})):
            (await self.host(name)).add(domain(**here))
        self.assertEqual([i["host"] for i in await self.api.list_instances()], ["two"])
        self.assertEqual((await self.api.find(A))["host"], "two")
        self.assertEqual((await self.api.get_vnc_console(A, "novnc"))["compute_host"], "two")

    async def test_a_host_that_hangs_hides_nobody(self) -> None:
        (await self.host("one")).add(domain())
        await self.hang("two")
        listing = Deferred.fromCoroutine(self.api.list_instances())
        self.clock.advance(5)
        self.assertEqual(len(await listing), 1)
        self.assertEqual((await self.api.find(A))["host"], "one")  # and is not waited for

    async def test_a_host_that_hangs_may_have_it(self) -> None:
        await self.host("one")
        await self.hang("two")
        finding = Deferred.fromCoroutine(self.api.find(A))
        self.clock.advance(5)
        await self.assertFailure(finding, ServiceUnavailable)

    async def test_nobody_answers(self) -> None:
        (await self.host("one")).down = True
        await self.refused(ServiceUnavailable, self.api.list_instances())
        await self.refused(ServiceUnavailable, self.api.find(A))

    async def test_nobody_is_live(self) -> None:
        """An empty list would say that there are no servers."""
        await self.refused(ServiceUnavailable, self.api.list_instances())
        await self.refused(ServiceUnavailable, self.api.find(A))

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
        console = await self.api.get_vnc_console(A, "novnc", "u", "p")
        self.assertEqual((console["compute_host"], console["instance_uuid"]), ("two", A))

    async def test_a_stopped_server(self) -> None:
        (await self.host("one")).add(domain(active=False, state="shutoff"))
        await self.refused(InstanceNotRunning, self.api.get_vnc_console(A, "novnc"))

    async def test_a_caller_that_gives_up(self) -> None:
        await self.hang("one")
        finding = Deferred.fromCoroutine(self.api.find(A))
        finding.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        finding.addErrback(lambda failure: None)
