"""The record that a compute host publishes, and the copy of all records that its readers hold."""

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging import domain_directory
from novnc_twisted.messaging.domain_directory import MAX_AGE, REST, DomainDirectory
from novnc_twisted.messaging.domain_record import GROUP, KEPT, MAX_PARTS, DomainRecord, Head, part_number
from novnc_twisted.messaging.memory import MemoryTransport
from tests.support.logged import Logged
from tests.support.published import publish, row


def uuid(number: int) -> str:
    return f"{number:08x}-2222-3333-4444-555555555555"


class DirectoryCase(TestCase):
    """Host ``one`` is alive and has the domains 0 to 9; host ``two`` is alive and has none."""

    async def setUp(self) -> None:
        self.log = Logged(self)
        self.clock = Clock()
        self.transport = MemoryTransport(self.clock)
        self.store = self.transport.store
        await self.transport.start()
        self.addCleanup(self.transport.stop)
        self.gone = {host: await self.serve(host) for host in ("one", "two")}
        self.record = await publish(self.store, "one", [{"uuid": uuid(n), "name": f"vm{n}"} for n in range(10)])
        await publish(self.store, "two", [])
        self.directory = DomainDirectory(self.transport, lambda host, domain: str(domain["name"]))

    async def serve(self, host: str, place: str = "") -> Any:
        place = place or f"{host}.example"
        return await self.transport.serve(f"compute.{host}", {}, binary="nova-compute", host=host, place=place)

    def read_keys(self) -> list[str]:
        """Record the keys that are read from now on, heads and parts."""
        keys: list[str] = []
        get, get_many = self.store.get, self.store.get_many

        def one(key: str) -> Any:
            keys.append(key)
            return get(key)

        def many(wanted: list[str], limit: int) -> Any:
            keys.extend(wanted)
            return get_many(wanted, limit)

        self.patch(self.store, "get", one)
        self.patch(self.store, "get_many", many)
        return keys


class LargeCloudTests(DirectoryCase):
    """More live hosts than may be asked for one domain."""

    async def setUp(self) -> None:
        await super().setUp()
        self.patch(domain_directory, "MAX_ASKED", 3)
        for host in ("three", "four"):
            self.gone[host] = await self.serve(host)
            await publish(self.store, host, [])
        await self.directory.look()

    async def test_current_records_decide(self) -> None:
        self.assertEqual(self.directory.all_candidates(uuid(20)), [])
        self.assertEqual(self.directory.all_candidates(uuid(3)), ["one"])

    async def test_hosts_whose_libvirt_does_not_answer(self) -> None:
        await publish(self.store, "four", [], current=False)
        await self.serve("five")
        await self.directory.look()
        self.assertEqual(sorted(self.directory.all_candidates(uuid(3))), ["five", "four", "one"])

    async def test_too_many_have_published_nothing(self) -> None:
        """After a loss of all data, for example."""
        for host in ("five", "six", "seven", "eight"):
            await self.serve(host)
        await self.directory.look()
        self.assertEqual(self.directory.candidates(uuid(3))[0], "one")
        self.assertEqual(len(self.directory.candidates(uuid(3))), 4)
        with self.assertRaises(ServiceUnavailable) as caught:
            self.directory.all_candidates(uuid(20))
        self.assertIn("the records of 4 compute hosts are not up to date", caught.exception.detail)

    async def test_a_small_cloud(self) -> None:
        """All live hosts are asked."""
        await self.gone["four"]()
        await self.directory.look()
        self.assertEqual(sorted(self.directory.all_candidates(uuid(20))), ["one", "three", "two"])


class LookTests(DirectoryCase):
    """Updates of the copy by ``look()``."""

    async def test_a_look(self) -> None:
        self.assertEqual((dict(self.directory.live), self.directory.entries(uuid(3))), ({}, {}))
        await self.directory.look()
        self.assertEqual(dict(self.directory.live), {"one": "one.example", "two": "two.example"})
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"one": "vm3"})
        self.assertEqual(self.directory.candidates(uuid(3)), ["one"])
        self.assertEqual(self.directory.candidates(uuid(99)), [])

    async def test_only_changed_parts_are_read(self) -> None:
        self.record.replace(row(uuid=uuid(n), name=f"vm{n}") for n in range(200))
        await self.record.write()
        await self.directory.look()
        keys = self.read_keys()
        await self.directory.look()
        self.assertEqual(keys, ["domains:one", "domains:two"])
        self.record.set(row(uuid=uuid(7), name="renamed"))
        self.record.remove(uuid(8))
        await self.record.write()
        keys.clear()
        await self.directory.look()
        count = len({part_number(uuid(n), 8) for n in (7, 8)})
        self.assertEqual(len(keys), 2 + count)
        self.assertEqual(
            (dict(self.directory.entries(uuid(7))), self.directory.entries(uuid(8))), ({"one": "renamed"}, {})
        )

    async def test_a_record_that_grows_and_shrinks(self) -> None:
        for number in (500, 1, 0, 70):
            self.record.replace(row(uuid=uuid(n), name=f"vm{n}") for n in range(number))
            await self.record.write()
            await self.directory.look()
            self.assertEqual(
                [bool(self.directory.entries(uuid(n))) for n in range(500)], [n < number for n in range(500)]
            )

    async def test_a_domain_on_two_hosts(self) -> None:
        await publish(self.store, "two", [{"uuid": uuid(3), "name": "moved"}])
        await self.directory.look()
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"one": "vm3", "two": "moved"})
        self.record.remove(uuid(3))
        await self.record.write()
        await self.directory.look()
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"two": "moved"})

    async def test_hosts_with_one_address(self) -> None:
        await self.serve("three", "one.example")
        await self.directory.look()
        self.assertEqual(sorted(self.directory.at("one.example")), ["one", "three"])
        self.assertEqual((list(self.directory.at("two.example")), list(self.directory.at("x"))), (["two"], []))

    async def test_a_live_host_without_a_record_may_have_any_domain(self) -> None:
        await self.serve("three")
        await self.directory.look()
        self.assertEqual(list(self.directory.unpublished), ["three"])
        self.assertEqual(self.directory.candidates(uuid(3)), ["one", "three"])
        self.assertFalse(self.directory.is_current("three"))

    async def test_a_host_that_is_not_alive(self) -> None:
        await self.gone["one"]()
        await self.directory.look()
        self.assertEqual((self.directory.last_host(uuid(3)), self.directory.last_host(uuid(99))), ("one", None))
        self.assertEqual(self.directory.candidates(uuid(3)), [])
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"one": "vm3"})
        await self.store.remove("domains:one")
        await self.directory.look()
        self.assertEqual((self.directory.last_host(uuid(3)), await self.store.members(GROUP, KEPT)), (None, ["two"]))

    async def test_a_host_whose_libvirt_does_not_answer(self) -> None:
        for current in (False, True):
            await self.record.write(current=current)
            await self.directory.look()
            self.assertEqual(self.directory.is_current("one"), current)
            self.assertTrue(self.directory.has_record("one"))


class AgeTests(DirectoryCase):
    """For how long the copy is used without an update."""

    async def setUp(self) -> None:
        await super().setUp()
        self.looks = 0
        services = self.transport.services

        def slow(prefix: str) -> Any:
            self.looks += 1
            self.clock.advance(self.took)
            return services(prefix)

        self.took = 0.01
        self.patch(self.transport, "services", slow)
        self.directory = DomainDirectory(self.transport, lambda host, domain: "", self.clock.seconds)

    async def looked(self, after: float) -> bool:
        before = self.looks
        self.clock.advance(after)
        await self.directory.refresh()
        return self.looks > before

    async def test_in_proportion_to_the_duration_of_the_update(self) -> None:
        self.assertTrue(await self.looked(0))
        self.assertFalse(await self.looked(REST * 0.01 - 0.001))
        self.assertTrue(await self.looked(0.002))

    async def test_max_age_at_most(self) -> None:
        self.took = 10.0
        self.assertTrue(await self.looked(0))
        self.assertFalse(await self.looked(MAX_AGE - 0.1))
        self.assertTrue(await self.looked(0.2))

    async def test_look_always_updates(self) -> None:
        await self.directory.refresh()
        await self.directory.look()
        self.assertEqual(self.looks, 2)

    async def test_stopped_while_it_prepares(self) -> None:
        cancelled: list[Any] = []
        self.patch(self.transport, "services", lambda _prefix: Deferred(cancelled.append))
        self.directory.prepare()
        self.assertEqual(cancelled, [])
        self.directory.stop()
        self.assertEqual(len(cancelled), 1)


class RecordTests(DirectoryCase):
    """How a host writes its record."""

    async def test_the_head(self) -> None:
        head = Head.from_wire(await self.store.get("domains:one") or {})
        self.assertEqual((len(head.parts), head.current), (1, True))
        self.assertEqual(Head.from_wire(head.to_wire()), head)

    async def test_without_a_change_nothing_is_written(self) -> None:
        self.record.set(row(uuid=uuid(3), name="vm3"))
        self.record.remove(uuid(99))
        self.patch(self.store, "put", lambda *_: self.fail("something is written"))
        self.assertEqual(await self.record.write(), 0)

    async def test_a_write_that_fails_is_repeated(self) -> None:
        self.record.set(row(uuid=uuid(3), name="renamed"))
        patch = self.patch(self.store, "put", lambda *_: fail(ServiceUnavailable("too late")))
        await self.assertFailure(Deferred.fromCoroutine(self.record.write()), ServiceUnavailable)
        patch.restore()
        await self.record.write()
        await self.directory.look()
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"one": "renamed"})

    async def test_parts_of_another_division_are_removed(self) -> None:
        self.record.replace(row(uuid=uuid(n), name="x") for n in range(200))
        await self.record.write()
        self.assertIsNone(await self.store.get("domains:one/1.0"))
        again = DomainRecord(self.store, "one")  # the host has restarted, with fewer domains
        again.replace([row(uuid=uuid(1), name="x")])
        await again.write()
        self.assertEqual([await self.store.get(f"domains:one/8.{n}") for n in range(8)], [None] * 8)

    async def test_renew(self) -> None:
        self.assertTrue(await self.record.renew(parts=True))
        await self.store.remove("domains:one/1.0")
        self.assertTrue(await self.record.renew())
        self.assertFalse(await self.record.renew(parts=True))
        self.record.rewrite()
        await self.record.write()
        self.assertTrue(await self.record.renew(parts=True))

    async def test_more_domains_than_parts_are_made_for(self) -> None:
        self.record.replace(row(uuid=uuid(n), name="x") for n in range(MAX_PARTS * 70))
        self.assertEqual(await self.record.write(), 0)
        head = Head.from_wire(await self.store.get("domains:one") or {})
        self.assertEqual(len(head.parts), MAX_PARTS)
