"""Where a console is now, if compute hosts published their servers: only hosts that may have it are asked."""

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth import places
from novnc_twisted.errors import ConsoleUnreachable, InstanceNotRunning, InvalidToken, ServiceUnavailable
from novnc_twisted.messaging import domain_directory
from tests.consoleauth.harness import OTHER_VM, VM, ConsoleAuthCase
from tests.support.published import publish


class PublishedTests(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        for number in range(20):
            await self.host(f"host{number}")
            await publish(self.transport.store, f"host{number}", [{"uuid": OTHER_VM}] if number == 7 else [])
        self.one = await self.host("one")
        self.record = await publish(self.transport.store, "one", [{"uuid": VM}])
        self.one.run()

    def asked(self) -> dict[str, list[str]]:
        return {name: host.asked for name, host in self.hosts.items() if host.asked}

    async def test_a_link_and_a_check(self) -> None:
        await self.token()
        self.assertEqual(self.asked(), {})
        await self.check()
        self.assertEqual(self.asked(), {"one": ["validate_console_port"]})

    async def test_it_moved(self) -> None:
        await self.token()
        self.one.consoles.clear()
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].run()
        self.assertEqual((await self.check()).compute_host, "host3")
        self.assertEqual(set(self.asked()), {"one", "host3"})

    async def test_it_moved_and_that_is_not_published_yet(self) -> None:
        await self.token()
        self.one.consoles.clear()
        self.hosts["host3"].run()
        self.assertEqual((await self.check()).compute_host, "host3")

    async def test_it_moved_twice_and_its_last_host_hangs(self) -> None:
        await self.token()
        self.one.consoles.clear()
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].hangs = True
        self.hosts["host4"].run()
        checking = Deferred.fromCoroutine(self.check())
        self.clock.advance(1)
        self.assertEqual((await checking).compute_host, "host4")

    async def test_two_hosts_run_it(self) -> None:
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].run()
        for host in ("one", "host3"):
            await self.refused(ConsoleUnreachable, self.token(compute_host=host))

    async def test_another_host_has_its_definition(self) -> None:
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].refusals[VM] = InstanceNotRunning("shutoff")
        await self.token()
        await self.check()

    async def test_a_host_that_published_nothing_runs_it(self) -> None:
        (await self.host("new")).run()
        await self.refused(ConsoleUnreachable, self.token())

    async def test_stopped_in_a_large_cloud(self) -> None:
        """The number of hosts does not matter: all of them have published that they do not have it."""
        self.patch(domain_directory, "MAX_ASKED", 5)
        await self.token()
        self.one.refusals[VM] = InstanceNotRunning("shutoff")
        await self.refused(InstanceNotRunning, self.check())
        self.assertEqual(self.asked(), {"one": ["validate_console_port"]})
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].run()
        self.assertEqual((await self.check()).compute_host, "host3")

    async def test_gone_from_a_large_cloud(self) -> None:
        """A host to which it has just moved gets time to publish it."""
        self.patch(domain_directory, "MAX_ASKED", 5)
        self.patch(places, "MAX_ASKED", 5)
        for moved in (True, False):
            await self.token()
            self.one.consoles.clear()
            await publish(self.transport.store, "one", [])
            asking = self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)
            self.assertNoResult(asking)
            await publish(self.transport.store, "host3", [{"uuid": VM}] if moved else [])
            if moved:
                self.hosts["host3"].run()
            else:
                self.hosts["host3"].consoles.clear()
            self.clock.advance(1)
            self.assertEqual(await asking, {"gone": not moved, "deleted": int(not moved)})

    async def test_a_host_publishes_what_it_does_not_have(self) -> None:
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        await self.token()
        self.assertEqual((await self.check()).compute_host, "one")

    async def test_only_hosts_with_its_address_are_asked_for_conflicts(self) -> None:
        neighbour = await self.host("neighbour", "one.example")
        await publish(self.transport.store, "neighbour", [])
        await self.token()
        await self.check()
        self.assertEqual(self.asked(), {"one": ["validate_console_port"], "neighbour": ["get_instances_at_address"]})
        neighbour.run(OTHER_VM)
        await self.refused(ConsoleUnreachable, self.check())

    async def test_gone(self) -> None:
        await self.token()
        self.one.consoles.clear()
        await publish(self.transport.store, "host3", [{"uuid": VM}])
        self.hosts["host3"].run()
        answer = await self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)
        self.assertEqual(answer, {"gone": False, "deleted": 0})
        self.assertEqual(set(self.asked()), {"one", "host3"})


class GoneTests(ConsoleAuthCase):
    """Tokens are dropped if every host that may have the server is live and does not have it."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        self.one, self.two = await self.host("one"), await self.host("two")
        self.one.run()
        await self.token()
        self.one.consoles.clear()

    async def instance_gone(self) -> object:
        return await self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)

    async def test_every_host_says_that_it_has_no_such_server(self) -> None:
        self.assertEqual(await self.instance_gone(), {"gone": True, "deleted": 1})
        await self.refused(InvalidToken, self.check())

    async def kept(self) -> None:
        await self.refused(ServiceUnavailable, self.instance_gone())
        self.one = await self.host("one")
        self.one.run()
        await self.check()

    async def test_the_tokens_host_is_not_alive(self) -> None:
        await self.gone["one"]()
        await self.kept()

    async def test_no_host_is_alive(self) -> None:
        await self.gone["one"]()
        await self.gone["two"]()
        await self.kept()

    async def test_a_host_that_is_not_alive_published_it(self) -> None:
        await publish(self.transport.store, "three", [{"uuid": VM}])
        await self.kept()
