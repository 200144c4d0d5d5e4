"""A compute host that publishes, or lists, the servers of other hosts."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from novnc_twisted.compute import ComputeAPI
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.publisher import APART
from novnc_twisted.errors import InstanceNotFound
from tests.compute.harness import A, domain
from tests.compute.test_published import PublishedCase


class ForeignServerTests(PublishedCase):
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
        """The order in which the records of the two hosts are read does not matter."""
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
        """Red finds its server at host one, evil the one that host two claims, in any order of the answers."""
        await self.claim(project_id="evil")
        for _ in range(2):
            for project, host in (("red", "one"), ("evil", "two")):
                self.assertEqual((await self.api.find(A, self.sees(project))).host, host)
            self.assertFalse(self.sees("blue")(await self.api.find(A, self.sees("blue"))))
            await self.managers["one"].stop()  # host one is asked last from now on
            await self.managers["one"].start()
        self.two.add(domain(A, "a", project_id="blue", active=False, state="shutoff"))
        self.assertEqual((await self.api.find(A, self.sees("blue"))).host, "one")

    async def test_where_it_runs_counts_before_who_sees_it(self) -> None:
        """If a live host has the server, a dead host's record does not show it to its former owner."""
        await self.claim(project_id="blue")
        await self.managers["one"].stop()
        self.assertEqual((await self.names("red"), await self.names("blue")), ([], [("a", "two")]))
        with self.assertRaises(InstanceNotFound):
            await self.names("red", marker=A)

    async def test_a_host_whose_list_never_ends(self) -> None:
        """All pages of a host share one deadline, and the number of its servers is limited."""
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
