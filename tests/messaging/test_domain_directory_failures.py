"""Records of compute hosts that cannot be read, or cannot be used."""

from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging import host_record
from novnc_twisted.messaging.domain_directory import MALFORMED, MAX_HOSTS, DomainDirectory
from novnc_twisted.messaging.domain_record import FIELDS, GROUP, KEPT, MAX_PARTS, Head, part_number
from novnc_twisted.messaging.host_record import MAX_DOMAINS, HostRecord
from novnc_twisted.messaging.interfaces import UnusableRecord
from tests.messaging.test_domain_directory import DirectoryCase, uuid
from tests.support.published import publish, row


class FailureTests(DirectoryCase):
    """Records that cannot be read, or cannot be used."""

    async def test_presence_can_not_be_read(self) -> None:
        self.patch(self.transport, "services", lambda _prefix: fail(ServiceUnavailable("Redis is gone")))
        await self.assertFailure(Deferred.fromCoroutine(self.directory.look()), ServiceUnavailable)

    async def test_the_store_can_not_be_read(self) -> None:
        """The old copy still shows candidates, but no record counts as current, and no domain as gone."""
        await self.directory.look()
        self.patch(self.store, "members", lambda *_: fail(ServiceUnavailable("Redis is gone")))
        for _ in range(2):
            await self.directory.look()
        self.assertEqual(len(self.log.lines("Redis is gone")), 1)
        self.assertEqual(self.directory.candidates(uuid(3)), ["one", "two"])
        self.assertFalse(self.directory.any_current)
        with self.assertRaises(ServiceUnavailable):
            self.directory.last_host(uuid(99))

    async def test_a_part_can_not_be_read(self) -> None:
        """All hosts count as unpublished until the next update reads the part; it does not read the others again."""
        self.record.replace(row(uuid=uuid(n), name=f"vm{n}") for n in range(200))
        await self.record.write()
        get, bad = self.store.get, f"domains:one/8.{part_number(uuid(0), 8)}"

        def with_failure(key: str) -> Any:
            return fail(ServiceUnavailable("too late")) if key == bad else get(key)

        patch = self.patch(self.store, "get", with_failure)
        await self.directory.look()
        self.assertEqual(list(self.directory.unpublished), ["one", "two"])
        patch.restore()
        keys = self.read_keys()
        await self.directory.look()
        self.assertEqual([key for key in keys if "/8." in key], [bad])
        self.assertEqual(dict(self.directory.entries(uuid(0))), {"one": "vm0"})
        self.assertEqual(list(self.directory.unpublished), [])

    async def test_an_invalid_record_of_a_host_that_is_not_alive(self) -> None:
        await self.gone["one"]()
        for head in ({}, {"parts": 5}, {"parts": [5]}, {"parts": ["x"] * (MAX_PARTS + 1)}, {"parts": ["x", "y"]}):
            await self.store.put("domains:one", head, 60)
            await self.directory.look()
            with self.assertRaises(UnusableRecord):
                self.directory.last_host(uuid(99))

    async def test_names_that_a_host_added(self) -> None:
        """A host cannot publish a second record under an invalid name; the update removes such names."""
        names = ["one/1.0", "one/x", "one/", "\x1b[2J", "\u202edaeh", "a b", "", "x" * 400, "\ud800"]
        for name in names:
            await self.store.join(GROUP, name, KEPT)
        for key in ("domains:one/x", "domains:one/"):
            await self.store.put(key, {"parts": ["v"]}, 60)
            await self.store.put(f"{key}/1.0", {"version": "v", "rows": [row(uuid=uuid(77), name="ghost")]}, 60)
        await self.directory.look()
        self.assertEqual((self.directory.entries(uuid(77)), self.directory.last_host(uuid(99))), ({}, None))
        self.assertEqual(await self.store.members(GROUP, KEPT), ["one", "two"])

    async def test_many_names_that_a_host_added(self) -> None:
        """Each update removes them with one command, and still reads the records of live hosts."""
        for number in range(MAX_HOSTS + 50):
            await self.store.join(GROUP, f"a{number:06}", KEPT)
        commands: list[int] = []
        leave = self.store.leave

        def counted(group: str, *members: str) -> Any:
            commands.append(len(members))
            return leave(group, *members)

        self.patch(self.store, "leave", counted)
        await self.directory.look()
        self.assertEqual(dict(self.directory.entries(uuid(3))), {"one": "vm3"})
        await self.directory.look()
        self.assertEqual(commands, [MAX_HOSTS, 50])
        self.assertEqual(await self.store.members(GROUP, KEPT), ["one", "two"])

    async def test_domains_that_belong_into_another_part(self) -> None:
        """Rows of other parts are dropped, so a host cannot publish a domain twice."""
        await self.store.put("domains:one", {"parts": ["a", "b"]}, 60)
        for number in range(2):
            rows = [row(uuid=uuid(3), name=f"part {number}"), [uuid(4)], 5, row(uuid="x"), row(uuid=uuid(3).upper())]
            await self.store.put(f"domains:one/2.{number}", {"version": "ab"[number], "rows": rows}, 60)
        await self.directory.look()
        self.assertEqual(len(self.directory.entries(uuid(3))), 1)
        await self.store.remove("domains:one")
        await self.directory.look()
        self.assertEqual(self.directory.entries(uuid(3)), {})
        self.assertTrue(self.log.lines("a part of the record of compute host one has domains that can't be used: 3"))

    async def test_a_malformed_record(self) -> None:
        """Only a few of its parts are read, once a minute; the host itself is asked instead."""
        directory = DomainDirectory(self.transport, lambda host, domain: "", self.clock.seconds)
        good = row(uuid=uuid(3), name="vm3")
        nested: Any = [[]] * 100
        keys = self.read_keys()
        for part in (
            {"rows": [0] * 3_000},
            {"rows": [nested]},
            {"rows": [row(uuid=uuid(3), name=nested)]},
            {"rows": [row(uuid=uuid(3), name="vm3", created={})]},
            {"rows": [good], "more": nested},
            {"rows": {"0": good}},
            {"rows": [good], "version": 5},
        ):
            await self.store.put("domains:one", {"parts": ["v"] * 16}, 600)
            for number in range(16):
                await self.store.put(f"domains:one/16.{number}", {"version": "v", **part}, 600)
            keys.clear()
            for _ in range(5):
                await directory.look()
                self.assertEqual(list(directory.unpublished), ["one"])
            self.assertLess(len([key for key in keys if "/16." in key]), 10)
            self.clock.advance(MALFORMED)
        await publish(self.store, "one", [{"uuid": uuid(3), "name": "vm3"}])
        await directory.look()
        self.assertEqual((list(directory.unpublished), list(directory.entries(uuid(3)))), ([], ["one"]))

    async def test_a_head_that_is_too_long(self) -> None:
        await self.store.put("domains:one", {"parts": [], "x": "x" * 33_000}, 60)
        await self.directory.look()
        self.assertEqual(list(self.directory.unpublished), ["one"])

    async def test_parts_are_not_held_together(self) -> None:
        """However many parts are read, few of them are in memory at a time."""

        class Part(dict[str, Any]):
            """A part that can have weak references."""

            __hash__ = object.__hash__  # type: ignore[assignment]

        await self.store.put("domains:one", {"parts": ["v"] * MAX_PARTS}, 60)
        alive: WeakSet[Part] = WeakSet()
        most = 0

        def part() -> Part:
            nonlocal most
            found = Part(version="v", rows=[])
            alive.add(found)
            most = max(most, len(alive))
            return found

        self.patch(self.store, "get", lambda _key: deferLater(self.clock, 0, part))
        looking = Deferred.fromCoroutine(self.directory.look())
        for _ in range(MAX_PARTS):
            self.clock.advance(0)
        self.successResultOf(looking)
        self.assertLess(most, 4)

    async def test_more_domains_than_a_host_can_have(self) -> None:
        rows = [[uuid(n), *[None] * (len(FIELDS) - 1)] for n in range(MAX_DOMAINS + 100)]
        self.patch(self.store, "get", lambda _key: succeed({"version": "x", "rows": rows}))
        await self.store.put("domains:one", {"parts": ["x"]}, 60)
        await self.directory.look()
        self.assertTrue(self.directory.entries(uuid(MAX_DOMAINS - 1)))
        self.assertEqual(self.directory.entries(uuid(MAX_DOMAINS)), {})

    def test_parts_of_different_lengths(self) -> None:
        """The limit is for all parts together; a part may have up to twice the average."""
        self.patch(host_record, "MAX_DOMAINS", 10)
        numbers = [[n for n in range(60) if part_number(uuid(n), 2) == part] for part in (0, 1)]
        record = HostRecord("one", lambda _host, domain: domain["uuid"])
        record.clear(2)
        for lengths, kept in (((9, 1), 10), ((3, 7), 10), ((9, 3), 10), ((2, 10), 10), ((1, 1), 2)):
            for part, length in enumerate(lengths):
                rows = [[uuid(n), *[None] * (len(FIELDS) - 1)] for n in numbers[part][:length]]
                self.assertFalse(record.take(part, {"version": "x", "rows": rows}).malformed)
            self.assertEqual((lengths, len(dict(record))), (lengths, kept))
            record.clear(2)

    def test_parts_that_grow_and_shrink(self) -> None:
        """A part that had no room beside an older, longer part is read again by the next update."""
        self.patch(host_record, "MAX_DOMAINS", 10)
        numbers = [[n for n in range(60) if part_number(uuid(n), 2) == part] for part in (0, 1)]
        record = HostRecord("one", lambda _host, domain: domain["uuid"])
        record.clear(2)

        def take(part: int, length: int, version: str) -> None:
            rows = [[uuid(n), *[None] * (len(FIELDS) - 1)] for n in numbers[part][:length]]
            record.take(part, {"version": version, "rows": rows})

        take(0, 4, "1")
        take(1, 6, "1")
        take(0, 6, "2")
        take(1, 4, "2")
        self.assertEqual((len(dict(record)), record.changed(Head(("2", "2"), True))), (8, [0]))
        take(0, 6, "2")
        self.assertEqual((len(dict(record)), record.changed(Head(("2", "2"), True))), (10, []))

    async def test_an_entry_that_the_reader_refuses(self) -> None:
        def read(_host: str, domain: dict[str, Any]) -> str:
            if domain["name"] == "vm3":
                raise ServiceUnavailable("not this one")
            return str(domain["name"])

        directory = DomainDirectory(self.transport, read)
        await directory.look()
        self.assertEqual((directory.entries(uuid(3)), dict(directory.entries(uuid(4)))), ({}, {"one": "vm4"}))
