"""Domains that end: which tokens are dropped and which are kept, also while other services are away."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.compute import vanished_domains
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.compute.vanished_domains import BACK_OFF
from novnc_twisted.consoleauth.places import Places
from novnc_twisted.errors import ServiceUnavailable
from tests.compute.harness import A, B, ComputeCase, FakeDriver, domain
from tests.support.logged import Logged

C = "33333333-4444-5555-6666-777777777777"


class VanishedDomainTests(ComputeCase):
    """Lifecycle events, and the calls to consoleauth."""

    async def setUp(self) -> None:
        await super().setUp()
        self.dropped: list[str] = []
        self.made_for = ["one"]
        self.driver = await self.host()
        self.driver.add(domain())
        self.driver.tell(Change.CONNECTED)
        self.stop_consoleauth: Any = await self.consoleauth()

    async def consoleauth(self) -> Any:
        async def instance_gone(instance_uuid: str) -> dict[str, Any]:
            gone = await Places(self.transport, self.clock).is_gone(instance_uuid, self.made_for)
            if gone:
                self.dropped.append(instance_uuid)
            return {"gone": gone, "deleted": int(gone)}

        return await self.transport.serve(
            "consoleauth",
            {"instance_gone": instance_gone},
            binary="nova-consoleauth",
            host="control",
        )

    def end(self, *changes: Change, uuid: str = A, driver: FakeDriver | None = None) -> None:
        """Remove the domain, and send the event."""
        driver = driver or self.driver
        driver.domains.pop(uuid, None)
        for change in changes:
            driver.tell(change, uuid)

    async def test_undefined(self) -> None:
        self.end(Change.UNDEFINED)
        self.assertEqual(self.dropped, [A])

    async def test_transient_and_ended(self) -> None:
        self.end(Change.STOPPED)
        self.assertEqual(self.dropped, [A])

    async def test_stopped_and_persistent(self) -> None:
        self.driver.add(domain(active=False, state="shutoff"))
        self.driver.tell(Change.STOPPED, A)
        self.assertEqual(self.dropped, [])

    async def test_stopped_and_its_xml_can_not_be_used(self) -> None:
        """The domain exists, so its tokens are kept, and there is no further attempt."""
        self.driver.get_domain = lambda _uuid: fail(ServiceUnavailable("bad XML"))  # type: ignore[method-assign]
        self.driver.tell(Change.STOPPED, A)
        self.assertEqual((self.dropped, self.waiting()), ([], []))

    async def test_undefined_while_it_runs(self) -> None:
        self.driver.tell(Change.UNDEFINED, A)
        self.assertEqual(self.dropped, [])
        self.end(Change.STOPPED)
        self.assertEqual(self.dropped, [A])

    async def test_migrated(self) -> None:
        self.end(Change.MIGRATED)
        self.assertEqual(self.dropped, [])

    async def test_migrated_and_undefined(self) -> None:
        self.end(Change.MIGRATED, Change.UNDEFINED)
        self.assertEqual(self.dropped, [])

    async def test_migrated_and_back_and_gone(self) -> None:
        self.end(Change.MIGRATED)
        self.driver.add(domain())
        self.driver.tell(Change.STARTED, A)
        self.end(Change.STOPPED)
        self.assertEqual(self.dropped, [A])

    async def test_another_live_host_knows_it(self) -> None:
        two = await self.host("two")
        two.add(domain(active=False))
        self.end(Change.UNDEFINED)
        self.assertEqual(self.dropped, [])
        self.end(Change.UNDEFINED, driver=two)
        self.assertEqual(self.dropped, [A])

    async def test_gone_while_libvirt_was_away(self) -> None:
        self.driver.add(domain(B))
        self.driver.tell(Change.CONNECTED)
        del self.driver.domains[A]
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [A])

    async def test_gone_while_libvirt_was_away_and_much_is_pending(self) -> None:
        """The domains are compared in any case, and the log names each domain whose tokens are kept."""
        self.patch(vanished_domains, "_MAX_PENDING", 1)
        log = Logged(self)
        await self.stop_consoleauth()
        self.driver.add(domain(B), domain(C))
        for uuid in (B, C):
            await self.call("get_instance", instance_uuid=uuid)
        self.end(Change.UNDEFINED, uuid=B)  # pending until consoleauth is back
        del self.driver.domains[A], self.driver.domains[C]
        self.driver.tell(Change.CONNECTED)
        lines = log.lines("too many domains end at once")
        self.assertEqual({uuid for uuid in (A, C) if any(uuid in line for line in lines)}, {A, C})
        self.assertEqual(len(lines), 2)

    def slow_list(self) -> Callable[[], None]:
        """Begin a comparison: read the list now, and return a function that delivers it."""
        read, waiting = list(self.driver.domains.values()), list[Deferred[Any]]()

        def list_domains() -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        patch = self.patch(self.driver, "list_domains", list_domains)
        self.driver.tell(Change.CONNECTED)

        def answer() -> None:
            patch.restore()
            for one in waiting:
                one.callback(read)

        return answer

    async def test_started_while_a_list_is_read(self) -> None:
        """If the domain ends while libvirt is away, the next comparison finds that it is gone."""
        answer = self.slow_list()
        self.driver.add(domain(B))
        self.driver.tell(Change.STARTED, B)
        answer()
        del self.driver.domains[B]
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [B])

    async def test_migrated_while_a_list_is_read(self) -> None:
        """The list still has the domain, but a later comparison does not report it as gone."""
        answer = self.slow_list()
        self.end(Change.MIGRATED)
        answer()
        self.clock.advance(3600)
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [])

    async def test_migrated_while_a_list_fails(self) -> None:
        """A later comparison does not report it as gone, either."""
        waiting: list[Deferred[Any]] = []
        patch = self.patch(self.driver, "list_domains", lambda: waiting.append(Deferred()) or waiting[-1])
        self.driver.tell(Change.CONNECTED)
        self.end(Change.MIGRATED)
        patch.restore()
        waiting[0].errback(ServiceUnavailable("libvirt is gone"))
        self.clock.advance(3600)
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [])

    async def test_gone_after_a_list_that_failed(self) -> None:
        self.driver.down = True
        self.driver.tell(Change.CONNECTED)
        self.driver.down = False
        del self.driver.domains[A]
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [A])

    async def test_a_comparison_that_fails(self) -> None:
        """The log does not report it as the end of a domain with an empty UUID."""
        log = Logged(self)
        self.patch(self.driver, "list_domains", lambda: fail(ValueError("a bug")))
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(len(log.lines("the domains could not be compared")), 1)
        self.flushLoggedErrors(ValueError)  # the other readers of the list fail as well

    async def test_seen_and_gone_while_libvirt_was_away(self) -> None:
        self.driver.add(domain(B))
        await self.call("get_instance", instance_uuid=B)
        del self.driver.domains[B]
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [B])

    async def test_migrated_long_ago(self) -> None:
        self.end(Change.MIGRATED)
        self.clock.advance(3600)
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [])

    async def test_migrated_while_no_other_host_is_live(self) -> None:
        self.end(Change.MIGRATED)
        self.driver.tell(Change.CONNECTED)
        self.assertEqual(self.dropped, [])

    async def test_consoleauth_is_away(self) -> None:
        await self.stop_consoleauth()
        self.end(Change.UNDEFINED)
        self.clock.advance(1)
        self.clock.advance(2)
        await self.consoleauth()
        self.assertEqual(self.dropped, [])
        self.clock.advance(4)
        self.assertEqual(self.dropped, [A])
        self.assertEqual(self.waiting(), [])

    async def test_consoleauth_stays_away(self) -> None:
        await self.stop_consoleauth()
        self.end(Change.UNDEFINED)
        for pause in BACK_OFF:
            self.clock.advance(pause)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.dropped, [])

    async def test_it_is_back_meanwhile(self) -> None:
        await self.stop_consoleauth()
        self.end(Change.UNDEFINED)
        self.driver.add(domain())
        await self.consoleauth()
        self.clock.advance(1)
        self.assertEqual((self.dropped, self.waiting()), ([], []))

    async def test_another_host_does_not_answer(self) -> None:
        two = await self.host("two")
        two.down = True
        self.end(Change.UNDEFINED)
        self.assertEqual(self.dropped, [])
        two.down = False
        self.clock.advance(1)
        self.assertEqual(self.dropped, [A])

    async def test_another_host_never_answers(self) -> None:
        (await self.host("two")).down = True
        self.end(Change.UNDEFINED)
        for pause in BACK_OFF:
            self.clock.advance(pause)
        self.assertEqual((self.dropped, self.waiting()), ([], []))

    async def test_a_second_event_while_the_first_is_handled(self) -> None:
        await self.stop_consoleauth()
        self.end(Change.STOPPED)
        self.driver.tell(Change.UNDEFINED, A)
        await self.consoleauth()
        self.clock.advance(1)
        self.assertEqual(self.dropped, [A, A])  # a second call is harmless; a missing one is not

    async def test_stop_leaves_nothing(self) -> None:
        await self.stop_consoleauth()
        self.end(Change.UNDEFINED)
        await self.managers["one"].stop()
        self.assertEqual(self.waiting(), [])

    async def test_a_thousand_at_once(self) -> None:
        await self.stop_consoleauth()
        for number in range(1100):
            self.driver.tell(Change.UNDEFINED, f"{number:08}-2222-3333-4444-555555555555")
        self.assertEqual(len(self.waiting()), 1000)
