"""Lists made from published records; servers of a dead host have the state "unknown"."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART, RETRY, SOON
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.domain_record import GROUP
from tests.compute.harness import A, B, ComputeCase, domain
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

    async def test_a_host_that_comes_back_while_another_one_is_asked(self) -> None:
        """Another request notices the host; this one must not conclude that the server does not exist."""
        await self.managers["one"].stop()
        asked: list[str] = []
        read = self.two.get_domain

        def back(uuid: str) -> Deferred[Any]:
            asked.append(uuid)
            return Deferred.fromCoroutine(again(uuid))

        async def again(uuid: str) -> Any:
            if len(asked) == 1:
                await self.host("one")
                await self.api.list_instances()
            return await read(uuid)

        self.patch(self.two, "get_domain", back)
        with self.assertRaises(ServiceUnavailable) as caught:
            await self.api.find(A)
        self.assertIn("one has just come back", caught.exception.detail)

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
        await self.transport.store.remove("domains:one", "domains:one/1.0")  # as if they had expired
        self.assertEqual(await self.listed(), [("b", "running", "two")])
        self.assertEqual(await self.transport.store.members(GROUP, 60), ["two"])

    async def test_thousands_on_one_host(self) -> None:
        """More domains than fit into one message."""
        self.one.add(*(domain(f"{number:08x}-2222-3333-4444-555555555555", "名" * 50) for number in range(3000)))
        self.one.tell(Change.CONNECTED)
        self.clock.advance(APART)
        self.assertEqual(len(await self.listed()), 3002)
        (await self.host("three")).add(*self.one.domains.values())
        self.assertEqual(len(await self.listed()), 3002)  # host three is asked page by page


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

    async def test_a_project_whose_host_published_nothing(self) -> None:
        three = await self.host("three")
        three.add(domain("99999999-2222-3333-4444-555555555555", "z", project_id="blue"), domain(A, "a"))
        self.assertEqual([one.name for one in await self.api.list_instances("blue")], ["c", "z"])
        self.assertEqual([one.host for one in await self.api.list_instances("red")], ["one"])
        self.assertEqual(await self.api.list_instances("green"), [])

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
