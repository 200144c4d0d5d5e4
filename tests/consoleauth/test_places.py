"""Where a console is now: which compute hosts are asked, and which answer counts."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from novnc_twisted.consoleauth.places import Places
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    ServiceUnavailable,
)
from novnc_twisted.messaging.domain_directory import DomainDirectory
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.support.published import publish


class PlacesTests(ConsoleAuthCase):
    """check_token with one, two and three compute hosts."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        self.one, self.two = await self.host("one"), await self.host("two")
        self.one.run()
        await self.token()
        self.two.asked.clear()
        self.lines: list[str] = []

        def watch(event: dict[str, object]) -> None:
            if "line" in event:
                self.lines.append(str(event["line"]))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)

    async def test_the_host_that_made_the_token(self) -> None:
        info = await self.check()
        self.assertEqual((info.host, info.compute_host), ("one.example", "one"))
        self.assertEqual(self.two.asked, [])

    async def test_another_port_now(self) -> None:
        self.one.run(port=5933)
        self.assertEqual((await self.check()).port, 5933)

    async def test_it_moved(self) -> None:
        self.one.consoles.clear()
        self.two.run(port=5911)
        info = await self.check()
        self.assertEqual((info.host, info.port, info.compute_host), ("two.example", 5911, "two"))

    async def test_it_moved_and_left_its_definition(self) -> None:
        self.one.refusals[VM] = InstanceNotRunning("")
        self.two.run()
        self.assertEqual((await self.check()).compute_host, "two")

    async def test_its_host_is_gone(self) -> None:
        await self.gone["one"]()
        self.two.run()
        self.assertEqual((await self.check()).compute_host, "two")

    async def test_its_host_is_gone_and_no_other_host_knows_it(self) -> None:
        """Without an answer of its host, the server may still exist."""
        await self.gone["one"]()
        refusal = await self.refused(ServiceUnavailable, self.check())
        self.assertIn("compute host one, which had the server, is not alive", refusal.detail)
        await self.host("one")
        await self.refused(InstanceNotFound, self.check())

    async def test_its_host_comes_back_while_another_one_is_asked(self) -> None:
        """The check must not conclude that the server does not exist."""
        await self.let_it_come_back()
        self.assertEqual((await self.check()).compute_host, "one")

    async def test_its_host_comes_back_before_its_tokens_are_deleted(self) -> None:
        await self.let_it_come_back()
        places = Places(self.transport, self.clock)
        await self.refused(ServiceUnavailable, places.is_gone(VM, [None]))

    async def let_it_come_back(self) -> None:
        """Stop host one, and start it again when host two, the last one, is asked; then update the directory."""
        await self.gone["one"]()
        await publish(self.transport.store, "two", [])  # so that it is asked last
        asked: list[str] = []
        look = DomainDirectory.look
        directories: list[DomainDirectory[Any]] = []

        async def looked(directory: DomainDirectory[Any]) -> None:
            directories.append(directory)
            await look(directory)

        async def answer(uuid: str) -> None:
            asked.append(uuid)
            if len(asked) == 1:
                (await self.host("one")).run()
                await look(directories[-1])

        self.patch(DomainDirectory, "look", looked)
        self.patch(self.two, "_answer", answer)

    async def test_its_host_is_gone_and_another_one_left_its_definition(self) -> None:
        await self.gone["one"]()
        self.two.refusals[VM] = InstanceNotRunning("shutoff")
        await self.refused(InstanceNotRunning, self.check())

    async def test_it_moved_and_the_new_host_is_gone(self) -> None:
        """The host of the token does not know the server, and the host that has it now is not alive."""
        store = self.transport.store
        self.one.consoles.clear()
        await publish(store, "two", [{"uuid": VM}])
        await self.refused(InstanceNotFound, self.check())  # two is alive, and does not have it
        await self.gone["two"]()
        refusal = await self.refused(ServiceUnavailable, self.check())
        self.assertIn("compute host two, which last had the server, is not alive", refusal.detail)
        await self.refused(ServiceUnavailable, self.api.get_vnc_password(TOKEN, "novnc", VIEWER))
        await publish(store, "two", [{"uuid": OTHER_VM}])
        await self.refused(InstanceNotFound, self.check())
        await store.put("domains:two", {"parts": "x"}, 60)
        await self.refused(ServiceUnavailable, self.check())

    async def test_presence_cannot_be_read(self) -> None:
        async def silent(*_arguments: object) -> object:
            raise ServiceUnavailable("Redis did not answer")

        self.patch(self.transport, "services", lambda *_: Deferred.fromCoroutine(silent()))
        await self.refused(ServiceUnavailable, self.check())

    async def test_its_host_stops_while_it_is_asked(self) -> None:
        self.one.hangs = True
        check = Deferred.fromCoroutine(self.check())
        await self.gone["one"]()
        await self.assertFailure(check, ServiceUnavailable)

    async def test_no_host_is_live(self) -> None:
        await self.gone["one"]()
        await self.gone["two"]()
        await self.refused(ServiceUnavailable, self.check())

    async def test_stopped(self) -> None:
        self.one.refusals[VM] = InstanceNotRunning("shutoff")
        await self.refused(InstanceNotRunning, self.check())

    async def test_stopped_elsewhere(self) -> None:
        self.one.consoles.clear()
        self.two.refusals[VM] = InstanceNotRunning("shutoff")
        await self.refused(InstanceNotRunning, self.check())

    async def test_unknown_everywhere(self) -> None:
        self.one.consoles.clear()
        await self.refused(InstanceNotFound, self.check())

    async def test_no_display(self) -> None:
        self.one.refusals[VM] = ConsoleTypeUnavailable("")
        await self.refused(ConsoleTypeUnavailable, self.check())
        self.assertEqual(self.two.asked, [])

    async def test_its_host_refuses_it(self) -> None:
        self.one.refusals[VM] = ConsoleUnreachable("two claim one address")
        await self.refused(ConsoleUnreachable, self.check())

    async def test_two_others_run_it(self) -> None:
        three = await self.host("three")
        self.one.consoles.clear()
        self.two.run()
        three.run()
        for _ in range(3):
            await self.refused(ConsoleUnreachable, self.check())
        self.assertEqual(len(self.lines), 1)
        self.assertIn("three and two", self.lines[0])
        self.clock.advance(61)
        await self.refused(ConsoleUnreachable, self.check())
        self.assertEqual(len(self.lines), 2)

    async def test_its_host_hangs_and_another_claims_to_run_it(self) -> None:
        """The host of the token is live, so it may run the server: the other host's answer does not count."""
        self.one.hangs = True
        self.two.run()
        check = Deferred.fromCoroutine(self.check())
        self.clock.advance(3.5)
        await self.assertFailure(check, ServiceUnavailable)
        self.assertEqual(self.two.asked, [])

    async def test_its_host_hangs(self) -> None:
        self.one.hangs = True
        check = Deferred.fromCoroutine(self.check())
        self.clock.advance(3.5)
        await self.assertFailure(check, ServiceUnavailable)

    async def test_another_host_hangs(self) -> None:
        self.two.hangs = True
        await self.check()

    async def test_all_hosts_hang(self) -> None:
        self.one.hangs = self.two.hangs = True
        check = Deferred.fromCoroutine(self.check())
        self.clock.pump([0.1] * 49)
        await self.assertFailure(check, ServiceUnavailable)

    async def test_the_password_comes_from_where_it_is(self) -> None:
        self.one.consoles.clear()
        self.two.run()
        self.two.passwords[VM] = "secret"
        self.assertEqual(await self.api.get_vnc_password(TOKEN, "novnc", VIEWER), "secret")

    async def test_invalid_answers(self) -> None:
        good = dict(self.one.consoles[VM])
        for field, value in {"host": 5, "port": True, "socket": 1, "name": None}.items():
            self.one.consoles[VM] = {**good, field: value}
            refusal = await self.refused(ServiceUnavailable, self.check())
            self.assertIn(field, refusal.detail)
        self.one.consoles[VM] = {**good, "port": 0}
        await self.refused(ServiceUnavailable, self.check())


class OneAddressTests(ConsoleAuthCase):
    """Two running servers that claim one address (CVE-2014-8750, and hosts that all announce 127.0.0.1)."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        self.one, self.two = await self.host("one", "127.0.0.1"), await self.host("two", "127.0.0.1")
        self.one.run()
        await self.token()
        self.lines: list[str] = []

        def watch(event: dict[str, object]) -> None:
            if "line" in event:
                self.lines.append(str(event["line"]))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)

    async def test_refused(self) -> None:
        self.two.run(OTHER_VM)
        for _ in range(3):
            await self.refused(ConsoleUnreachable, self.check())
        self.assertEqual(len(self.lines), 1)
        for part in (VM, OTHER_VM, "one", "two", "127.0.0.1", "5900"):
            self.assertIn(part, self.lines[0])

    async def test_the_same_server_on_both_hosts(self) -> None:
        self.two.run(VM)  # about to arrive, or just gone
        await self.check()

    async def test_other_ports(self) -> None:
        self.two.run(OTHER_VM, port=5901)
        await self.check()

    async def test_hosts_with_other_addresses_are_not_asked(self) -> None:
        three = await self.host("three")
        three.run(OTHER_VM)
        await self.check()
        self.assertEqual(three.asked, [])

    async def test_unix_sockets_never_conflict_between_hosts(self) -> None:
        self.one.run(port=0, socket="/run/vnc.sock")
        self.two.run(OTHER_VM, port=0, socket="/run/vnc.sock")
        self.assertEqual((await self.check()).socket, "/run/vnc.sock")

    async def test_a_host_with_the_same_address_that_hangs(self) -> None:
        self.two.hangs = True
        check = Deferred.fromCoroutine(self.check())
        self.clock.advance(1)
        await check

    async def test_invalid_claims(self) -> None:
        for answer in (None, [], {"instances": "x"}, {"instances": [5]}, {"instances": ["x"]}):
            self.two.address_answer = answer
            await self.refused(ServiceUnavailable, self.check())
