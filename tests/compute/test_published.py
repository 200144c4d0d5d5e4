"""Published records: lists are made from them, and servers of a host that is away have an unknown state."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater

from novnc_twisted.compute import ComputeAPI, ComputeManager
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART, FEW, RECONCILIATION, RENEWAL, RETRY, SOON
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from novnc_twisted.messaging.domain_directory import DomainDirectory
from novnc_twisted.messaging.domain_record import GROUP, KEPT
from novnc_twisted.messaging.interfaces import TopicInUse
from tests.compute.harness import A, B, ComputeCase, FakeDriver, domain
from tests.support.logged import Logged
from tests.support.published import row

C = "cccccccc-2222-3333-4444-555555555555"


class PublishedCase(ComputeCase):
    """Host ``one`` with a server of project red, host ``two`` with another one."""

    async def setUp(self) -> None:
        await super().setUp()
        self.log = Logged(self)
        self.one, self.two = await self.host("one"), await self.host("two")
        self.one.add(domain(A, "a", project_id="red", user_name="alice", created="2026-11-22T10:11:12Z"))
        self.two.add(domain(B, "b"))
        for driver in (self.one, self.two):
            driver.tell(Change.CONNECTED)
        self.clock.advance(SOON)

    async def listed(self) -> list[tuple[str, str, str]]:
        return [(one.name, one.state, one.host) for one in await self.api.list_instances()]

    def calls(self) -> list[tuple[str, str]]:
        """Record the calls on the bus from now on, as topic and method."""
        made: list[tuple[str, str]] = []
        call = self.transport.call

        def counted(topic: str, method: str, /, **arguments: Any) -> Deferred[Any]:
            made.append((topic, method))
            return call(topic, method, **arguments)

        self.patch(self.transport, "call", counted)
        return made


class ListTests(PublishedCase):
    """Lists of the API."""

    async def test_no_host_is_asked(self) -> None:
        calls = self.calls()
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])
        self.assertEqual(calls, [])

    async def test_each_change_shows(self) -> None:
        for change, state in ((Change.STATE, "paused"), (Change.STOPPED, "shutoff"), (Change.STARTED, "running")):
            self.one.add(domain(A, "a", state=state))
            self.one.tell(change, A)
            self.clock.advance(APART)
            self.assertEqual((await self.listed())[0], ("a", state, "one"))
        del self.one.domains[A]
        self.one.tell(Change.UNDEFINED, A)
        self.clock.advance(APART)
        self.assertEqual(await self.listed(), [("b", "running", "two")])

    async def test_a_dead_host(self) -> None:
        await self.managers["one"].stop()
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])
        (server, _) = await self.api.list_instances()
        self.assertEqual((server.project_id, server.user_name, server.vcpus), ("red", "alice", 1))
        self.assertEqual((server.created, server.power_state), ("2026-11-22T10:11:12Z", 0))
        self.assertEqual(self.log.lines("did not list"), [])

    async def test_every_host_is_dead(self) -> None:
        for manager in self.managers.values():
            await manager.stop()
        await self.refused(ServiceUnavailable, self.listed())

    async def test_a_host_that_published_nothing_is_asked(self) -> None:
        await self.host("three")
        (await self.host("four")).add(domain(C, "c"))
        calls = self.calls()
        self.assertEqual((await self.listed())[2], ("c", "running", "four"))
        self.assertEqual(calls, [("compute.four", "list_instances"), ("compute.three", "list_instances")])

    async def test_a_host_that_published_nothing_and_hangs(self) -> None:
        three = await self.host("three")
        three.list_domains = lambda: Deferred()  # type: ignore[method-assign]
        listing = Deferred.fromCoroutine(self.listed())
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(listing), [("a", "running", "one"), ("b", "running", "two")])
        self.assertEqual(len(self.log.lines("compute host three did not list its servers")), 1)

    async def test_a_slow_answer_is_better_than_none(self) -> None:
        for name in ("one", "two"):
            await self.managers[name].stop()
        answers: list[Any] = [Deferred(), succeed([domain(C, "c")])]
        (await self.host("three")).list_domains = lambda: answers.pop(0)  # type: ignore[method-assign]
        listing = Deferred.fromCoroutine(self.listed())
        self.clock.advance(2)
        expected = [("a", "unknown", "one"), ("b", "unknown", "two"), ("c", "running", "three")]
        self.assertEqual(self.successResultOf(listing), expected)

    async def test_a_host_whose_libvirt_is_down(self) -> None:
        self.one.down = True
        self.one.tell(Change.DISCONNECTED)
        self.clock.advance(APART)
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])
        self.one.down = False
        self.one.tell(Change.CONNECTED)
        self.clock.advance(RETRY)
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])

    async def test_libvirt_is_down_on_every_host(self) -> None:
        for driver in (self.one, self.two):
            driver.tell(Change.DISCONNECTED)
        self.clock.advance(APART)
        refusal = await self.refused(ServiceUnavailable, self.listed())
        self.assertIn("libvirt of compute host one does not answer", refusal.detail)

    async def test_it_runs_elsewhere_now(self) -> None:
        await self.managers["one"].stop()
        self.two.add(domain(A, "a"))
        self.two.tell(Change.STARTED, A)
        self.clock.advance(APART)
        self.assertEqual(await self.listed(), [("a", "running", "two"), ("b", "running", "two")])

    async def test_it_is_back(self) -> None:
        await self.managers["one"].stop()
        await self.managers["one"].start()
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])

    async def test_without_the_store_all_live_hosts_are_asked(self) -> None:
        await self.managers["one"].stop()
        self.patch(self.transport.store, "members", lambda *_: fail(ServiceUnavailable("Redis is gone")))
        for _ in range(2):
            self.assertEqual(await self.listed(), [("b", "running", "two")])
        self.assertEqual(len(self.log.lines("Redis is gone")), 1)
        await self.refused(ServiceUnavailable, self.api.last_known(A))

    async def test_what_is_published_is_checked(self) -> None:
        await self.managers["one"].stop()
        store = self.transport.store
        good = row(uuid=A, name="a", state="running")
        bad = [5, [], ["x"] * 12, row(uuid=B, name="a\n", state="x"), row(uuid=B, name="a"), [*good, 1]]
        heads = ({}, {"parts": 5}, {"parts": [5]}, {"parts": ["x"] * 1000}, {"parts": ["x"]})
        parts: tuple[dict[str, Any], ...] = ({}, {"version": 1, "rows": []}, {"version": "x", "rows": bad})
        for head in heads:
            for part in parts:
                await store.put("domains:one", head, 60)
                await store.put("domains:one/1.0", part, 60)
                self.assertEqual(await self.listed(), [("b", "running", "two")])
        await store.join(GROUP, "no name\tof a host", 60)
        odd = row(uuid=A, name="a", project_id=5, project_name="p\0", user_id=[], vcpus=-1, memory_mb="x", state="s")
        await store.put("domains:one", {"parts": ["y"]}, 60)
        await store.put("domains:one/1.0", {"version": "y", "rows": [odd]}, 60)
        self.assertEqual(await self.listed(), [("a", "unknown", "one"), ("b", "running", "two")])

    async def test_one_bad_record_hides_no_other_host(self) -> None:
        three = await self.host("three")
        three.add(domain(C, "c"))
        three.tell(Change.CONNECTED)
        self.clock.advance(SOON)
        await self.managers["one"].stop()
        await self.managers["three"].stop()
        await self.transport.store.put("domains:one", {"parts": 5}, 60)
        self.assertEqual(await self.listed(), [("b", "running", "two"), ("c", "unknown", "three")])
        self.assertEqual(getattr(await self.api.last_known(C), "host", None), "three")
        await self.refused(ServiceUnavailable, self.api.last_known(A))  # host one may have it

    async def test_last_known(self) -> None:
        self.assertIsNone(await self.api.last_known(A))
        await self.managers["one"].stop()
        found = await self.api.last_known(A)
        self.assertEqual((found.name, found.host, found.project_id), ("a", "one", "red"))
        self.assertIsNone(await self.api.last_known(B))

    async def test_a_host_that_is_gone_for_a_week(self) -> None:
        await self.managers["one"].stop()
        await self.transport.store.remove("domains:one", "domains:one/1.0")  # as their time does
        self.assertEqual(await self.listed(), [("b", "running", "two")])
        self.assertEqual(await self.transport.store.members(GROUP, 60), ["two"])

    async def test_thousands_on_one_host(self) -> None:
        """More domains than fit into one message."""
        self.one.add(*(domain(f"{number:08x}-2222-3333-4444-555555555555", "名" * 50) for number in range(3000)))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)
        self.assertEqual(len(await self.listed()), 3002)
        (await self.host("three")).add(*self.one.domains.values())
        self.assertEqual(len(await self.listed()), 3002)  # it is asked page by page


class ForeignServerTests(PublishedCase):
    """A compute host that publishes, or lists, the servers of other hosts."""

    def sees(self, project: str) -> Any:
        return lambda server: server.belongs_to(project)

    async def names(self, project: str, **more: Any) -> list[tuple[str, str]]:
        servers, _ = await self.api.page(project=project, visible=self.sees(project), **more)
        return [(server.name, server.host) for server in servers]

    async def claim(self, **fields: Any) -> None:
        self.two.add(domain(A, "a", **fields))
        self.two.tell(Change.STARTED, A)
        self.clock.advance(APART)

    async def test_a_claimed_server_stays_in_the_list_of_its_owner(self) -> None:
        """Whichever of the two hosts was read first."""
        for api in (self.api, ComputeAPI(self.transport)):
            self.api = api
            self.assertEqual(await self.names("red"), [("a", "one")])
            await self.claim(project_id="evil")
            self.assertEqual(await self.names("red"), [("a", "one")])
            self.assertEqual(await self.names("red", marker=A), [])
            self.assertEqual(await self.names("evil"), [("a", "two")])
        self.one.tell(Change.STATE, A)  # published again, and so read last
        self.one.add(domain(A, "a", project_id="red", vcpus=2))
        self.clock.advance(APART)
        self.assertEqual(await self.names("red"), [("a", "one")])

    async def test_the_owner_of_a_claimed_server_finds_it(self) -> None:
        """Whichever host answers first; so does the one that the claim names, and nobody else."""
        await self.claim(project_id="evil")
        for _ in range(2):
            for project, host in (("red", "one"), ("evil", "two")):
                self.assertEqual((await self.api.find(A, self.sees(project))).host, host)
            self.assertFalse(self.sees("blue")(await self.api.find(A, self.sees("blue"))))
            await self.managers["one"].stop()  # it is the last one now that is asked
            await self.managers["one"].start()
        self.two.add(domain(A, "a", project_id="blue", active=False, state="shutoff"))
        self.assertEqual((await self.api.find(A, self.sees("blue"))).host, "one")

    async def test_where_it_runs_counts_before_who_sees_it(self) -> None:
        """A host that is not alive does not show a server to its former owner."""
        await self.claim(project_id="blue")
        await self.managers["one"].stop()
        self.assertEqual((await self.names("red"), await self.names("blue")), ([], [("a", "two")]))
        with self.assertRaises(InstanceNotFound):
            await self.names("red", marker=A)

    async def test_a_host_whose_list_never_ends(self) -> None:
        """All its pages have one deadline, and one host has a bounded number of servers."""
        self.api = ComputeAPI(self.transport, now=self.clock.seconds)
        pages = 0
        wait = 0.3

        async def listed(after: str = "") -> dict[str, Any]:
            nonlocal pages
            pages += 1
            await deferLater(self.clock, wait)
            rows = [{"uuid": f"{pages:08x}-0000-0000-0000-{n:012x}", "name": "x", "state": "x"} for n in range(3000)]
            return {"instances": rows, "more": True}

        await self.transport.serve("compute.evil", {"list_instances": listed}, binary="nova-compute", host="evil")
        listing = Deferred.fromCoroutine(self.listed())
        for _ in range(20):
            self.clock.advance(0.3)
        self.assertEqual([host for _, _, host in self.successResultOf(listing)], ["one", "two"])
        self.assertLess(pages, 8)
        pages, wait = 0, 0.0
        listing = Deferred.fromCoroutine(self.listed())
        for _ in range(100):
            self.clock.advance(0)
        self.assertEqual([host for _, _, host in self.successResultOf(listing)], ["one", "two"])
        self.assertLess(pages, 9)


class PageTests(PublishedCase):
    """Lists in pages."""

    async def setUp(self) -> None:
        await super().setUp()
        self.one.add(*(domain(f"{n:08x}-2222-3333-4444-555555555555", f"vm{n % 7}") for n in range(50)))
        self.one.add(domain(C, "c", project_name="blue"))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)

    async def test_all_pages_are_the_whole_list(self) -> None:
        whole = await self.api.list_instances()
        self.assertEqual(whole, sorted(whole, key=lambda one: (one.name, one.uuid)))
        for limit in (1, 7, 52, 53, 54, 100):
            found: list[Any] = []
            more = True
            while more:
                marker = found[-1].uuid if found else None
                servers, more = await self.api.page(marker=marker, limit=limit)
                self.assertLessEqual(len(servers), limit)
                found += servers
            self.assertEqual(found, whole)

    async def test_a_project(self) -> None:
        for project, names in (("red", ["a"]), ("blue", ["c"]), ("", []), ("green", [])):
            seen: list[Any] = []
            servers, more = await self.api.page(project=project, wanted=lambda one, seen=seen: not seen.append(one))
            self.assertEqual(([one.name for one in servers], more), (names, False))
            self.assertEqual(len(seen), len(names))  # no other server was looked at

    async def test_a_server_changes_its_project(self) -> None:
        self.one.add(domain(A, "a2", project_id="blue"))
        self.one.tell(Change.DESCRIBED, A)
        self.clock.advance(APART)
        self.assertEqual(await self.api.list_instances("red"), [])
        self.assertEqual([one.name for one in await self.api.list_instances("blue")], ["a2", "c"])

    async def test_names(self) -> None:
        servers, more = await self.api.page(name="m3", limit=3)
        self.assertEqual(({one.name for one in servers}, more), ({"vm3"}, True))

    async def test_a_server_on_two_hosts_is_listed_once(self) -> None:
        self.two.add(domain(A, "a, as two knows it", state="shutoff", active=False))
        self.two.tell(Change.DEFINED, A)
        self.clock.advance(APART)
        for name in ("a", "a, as two knows it"):
            self.assertEqual([one.name for one in await self.api.list_instances() if one.uuid == A], [name])
            await self.managers["one"].stop()

    async def test_a_host_that_published_nothing_has_its_place_in_the_order(self) -> None:
        (await self.host("three")).add(domain("99999999-2222-3333-4444-555555555555", "aa"))
        first, _ = await self.api.page(limit=2)
        second, _ = await self.api.page(limit=2, marker=first[-1].uuid)
        self.assertEqual([one.name for one in (*first, *second)], ["a", "aa", "b", "c"])


class PublicationTests(PublishedCase):
    """When a host publishes, and which parts it writes."""

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
        self.assertEqual(await self.listed(), [("a", "running", "one"), ("b", "running", "two")])  # it is asked
        self.clock.pump([RENEWAL] * 6)
        self.assertEqual(await self.names(), ["a"])

    async def test_little_is_read_while_nothing_changes(self) -> None:
        self.one.asked.clear()
        self.clock.pump([1.0] * int(RECONCILIATION))
        self.assertLessEqual(len(self.one.asked), 1)

    async def test_a_change_without_an_event(self) -> None:
        self.one.add(domain(A, "a", vcpus=4))
        self.clock.pump([RENEWAL] * 6)
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
        self.assertEqual(await self.names(), [])
        self.assertEqual(await self.listed(), [("b", "running", "two")])

    async def test_more_than_a_part_holds(self) -> None:
        long = dict.fromkeys(("project_id", "project_name", "user_id", "user_name", "created"), "名" * 1024)
        self.one.add(*(domain(f"{n:08x}-2222-3333-4444-555555555555", f"vm{n}", **long) for n in range(40)))
        for number in range(40):  # one by one, so that all go into the one part that there is
            self.one.tell(Change.DEFINED, f"{number:08x}-2222-3333-4444-555555555555")
            self.clock.advance(APART)
        self.assertTrue(self.log.lines("too many to be published"))
        self.assertIn(len(await self.names()), range(30, 40))

    async def test_stop_leaves_nothing(self) -> None:
        for manager in self.managers.values():
            await manager.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
