"""The policy of tokens: how long, how often and from which address they are valid, and when they are dropped."""

from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import globalLogPublisher

from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ConsoleForbidden, InstanceNotFound, InvalidToken, ServiceUnavailable
from tests.consoleauth.harness import ELSEWHERE, OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.support.logged import Logged


class TimeTests(ConsoleAuthCase):
    """A token is valid until exactly token_ttl after it was made."""

    async def test_connect_info(self) -> None:
        await self.serve()
        (await self.host()).run(port=5907)
        expires_at = await self.token()
        self.assertEqual(expires_at, self.clock.seconds() + 600)
        info = await self.check()
        self.assertEqual(
            (info.host, info.port, info.socket, info.name, info.instance_uuid, info.console_type),
            ("one.example", 5907, None, "myserver20", VM, "novnc"),
        )
        self.assertEqual((info.user_id, info.project_id, info.compute_host), ("u", "p", "one"))
        self.assertIsNone(info.expires_at)
        self.assertTrue(info.reconnects)

    async def test_as_often_as_wanted(self) -> None:
        await self.serve()
        (await self.host()).run()
        await self.token()
        for viewer in (VIEWER, ELSEWHERE, VIEWER):
            await self.check(viewer=viewer)

    async def test_a_console_that_moved_is_found_again(self) -> None:
        await self.serve()
        vm = await self.host()
        vm.run()
        await self.token()
        info = await self.check()
        vm.run(port=5907)
        found = await self.api.find_again(TOKEN, VIEWER, info)
        assert found is not None
        self.assertEqual((info.port, found.port, found.instance_uuid), (5900, 5907, VM))
        self.assertEqual(info.admission, found.admission)

    async def test_until_exactly_the_ttl(self) -> None:
        await self.serve(token_ttl=600)
        (await self.host()).run()
        await self.token()
        self.clock.advance(599.999)
        await self.check()
        await self.api.show_token(TOKEN)
        self.clock.advance(0.001)
        await self.refused(InvalidToken, self.check())
        await self.refused(InvalidToken, self.api.show_token(TOKEN))

    async def test_a_ttl_of_zero(self) -> None:
        await self.serve(token_ttl=0)
        (await self.host()).run()
        await self.token()
        await self.refused(InvalidToken, self.check())

    async def test_unknown(self) -> None:
        await self.serve()
        (await self.host()).run()
        await self.token()
        for token in (TOKEN.upper(), TOKEN[:-1], TOKEN + " ", "", "x" * 10_000, "\udcff"):
            await self.refused(InvalidToken, self.check(token))

    async def test_nothing_is_left_of_what_expired(self) -> None:
        await self.serve(token_ttl=10)
        (await self.host()).run()
        await self.token()
        self.clock.advance(71)
        self.assertEqual(await self.transport.store.indexed(f"instance:{VM}"), [])


class RightsTests(ConsoleAuthCase):
    """A token is for one console type and, with bind_address, for one client address."""

    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()

    async def test_console_type(self) -> None:
        await self.serve()
        await self.token(console_type="xvpvnc")
        await self.refused(ConsoleForbidden, self.check())
        await self.refused(ConsoleForbidden, self.check(console_type="spice"))
        self.assertEqual((await self.check(console_type="xvpvnc")).console_type, "xvpvnc")

    async def test_bound_to_the_address_that_asked(self) -> None:
        await self.serve(bind_address=True)
        await self.token(client_address=VIEWER)
        await self.refused(ConsoleForbidden, self.check(viewer=ELSEWHERE))
        await self.check()

    async def test_bound_to_the_address_of_its_first_use(self) -> None:
        await self.serve(bind_address=True)
        await self.token()
        await self.check()
        await self.refused(ConsoleForbidden, self.check(viewer=ELSEWHERE))
        await self.refused(ConsoleForbidden, self.api.get_vnc_password(TOKEN, "novnc", ELSEWHERE))
        await self.check()

    async def test_an_unknown_address_is_not_bound(self) -> None:
        """All clients behind a proxy whose X-Forwarded-For cannot be read have this address."""
        await self.serve(bind_address=True)
        await self.token()
        await self.refused(ConsoleForbidden, self.check(viewer="unknown"))
        await self.check()

    async def test_not_bound_by_default(self) -> None:
        await self.serve()
        await self.token(client_address=VIEWER)
        await self.check(viewer=ELSEWHERE)

    async def test_a_token_opens_one_console_only(self) -> None:
        await self.serve()
        first = await self.token()
        self.clock.advance(1)
        self.assertEqual(await self.token(), first)  # the caller repeats a call without an answer
        await self.refused(ConsoleForbidden, self.token(instance_uuid=OTHER_VM))
        await self.refused(ConsoleForbidden, self.token(console_type="xvpvnc"))
        self.assertEqual((await self.check()).instance_uuid, VM)


class NumberTests(ConsoleAuthCase):
    """max_tokens_per_server and delete_tokens_for_instance."""

    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()
        self.hosts["one"].run(OTHER_VM, port=5901)

    async def test_one_more_drops_the_oldest(self) -> None:
        await self.serve(max_tokens_per_server=3)
        await self.token("other", instance_uuid=OTHER_VM)
        for number in range(4):
            await self.token(f"t{number}")
            self.clock.advance(1)
        await self.refused(InvalidToken, self.check("t0"))
        for token in ("t1", "t2", "t3", "other"):
            await self.check(token)

    async def test_zero_is_off(self) -> None:
        await self.serve(max_tokens_per_server=0)
        for number in range(100):
            await self.token(f"t{number}")
        await self.check("t0")

    async def test_64_by_default(self) -> None:
        await self.serve()
        for number in range(65):
            await self.token(f"t{number}")
        await self.refused(InvalidToken, self.check("t0"))
        await self.check("t1")

    async def test_sessions_of_a_server_that_is_gone_are_ended(self) -> None:
        """A proxy that does not answer is logged, and does not delay the call."""
        logged = Logged(self)
        ended: list[Any] = []

        async def end_sessions(**wanted: Any) -> dict[str, int]:
            ended.append(wanted)
            return {"ended": 1}

        async def hang(**_: Any) -> None:
            await Deferred()

        await self.serve()
        for worker, method in (("a", end_sessions), ("b", end_sessions), ("c", hang)):
            topic = PROXY.of("h", worker)
            await self.transport.serve(topic, {"end_sessions": method}, binary="novnc-sessions", host="h")
        await self.token()
        self.assertEqual(await self.delete_tokens(VM), 1)
        self.assertEqual(ended, [{"server_id": VM, "reason": "deleted by the API"}] * 2)
        self.clock.advance(5)
        line = f"sessions of server {VM} on proxy.h.c may go on until this proxy answers, or asks to renew the leases"
        self.assertEqual(len(logged.lines(line)), 1)

    async def test_the_proxies_cannot_be_reached(self) -> None:
        """The tokens are dropped, and a log line names the server whose sessions may go on."""
        logged = Logged(self)
        await self.serve()
        await self.token()
        self.patch(self.transport, "broadcast", lambda *_, **__: fail(ServiceUnavailable("the bus is down")))
        self.assertEqual(await self.delete_tokens(VM), 1)
        await self.refused(InvalidToken, self.check())
        self.assertEqual(len(logged.lines(f"the tokens of server {VM} were dropped, but its sessions may go on: ")), 1)

    async def test_delete_tokens_for_instance(self) -> None:
        await self.serve()
        await self.token("a")
        await self.token("b")
        await self.token("c", instance_uuid=OTHER_VM)
        self.assertEqual(await self.delete_tokens(VM.upper()), 2)
        self.assertEqual(await self.delete_tokens(VM), 0)
        await self.refused(InvalidToken, self.check("a"))
        await self.check("c")

    async def test_its_tokens_are_dropped_while_its_host_is_asked(self) -> None:
        """The refusal is InstanceNotFound, not Revoked."""
        await self.serve()
        await self.token()
        held = self.hosts["one"].held["validate_console_port"] = Deferred()
        check = Deferred.fromCoroutine(self.refused(InstanceNotFound, self.check()))
        self.assertNoResult(check)
        self.assertEqual(await self.delete_tokens(VM), 1)
        del self.hosts["one"].consoles[VM]
        held.callback(None)
        await check


class WireTests(ConsoleAuthCase):
    """Arguments from the bus are checked, and no log line or refusal contains a token."""

    async def test_fields_are_named(self) -> None:
        await self.serve()
        for field, value in {
            "host": "",
            "port": 65536,
            "socket": 7,
            "internal_access_path": "/a\r\nX: y",
            "instance_uuid": "myserver20",
            "name": "n" * 2000,
            "user_id": ["u"],
            "project_id": "p" * 1025,
            "compute_host": None,
            "console_type": "spice",
            "client_address": 4,
        }.items():
            refusal = await self.refused(ServiceUnavailable, self.token(**{field: value}))
            self.assertIn(field, refusal.detail)
            if isinstance(value, str) and value:
                self.assertNotIn(value, refusal.detail)

    async def test_hashes_are_hashes(self) -> None:
        await self.serve()
        for value in (TOKEN, "", None, 5, "A" * 64):
            call = self.transport.call(
                "consoleauth", "check_token", token_hash=value, console_type="novnc", client_address=VIEWER
            )
            refusal = await self.assertFailure(call, ServiceUnavailable)
            self.assertIn("token_hash", refusal.detail)

    async def test_nothing_logs_a_token(self) -> None:
        seen: list[str] = []

        def watch(event: object) -> None:
            seen.append(repr(event))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)
        await self.serve(bind_address=True, max_tokens_per_server=1)
        vm = await self.host()
        vm.run()
        vm.passwords[VM] = "secret"
        await self.token()
        await self.check()
        await self.api.get_vnc_password(TOKEN, "novnc", VIEWER)
        refusals = [await self.refused(ConsoleForbidden, self.check(viewer=ELSEWHERE))]
        await self.token("another")
        refusals.append(await self.refused(InvalidToken, self.check()))
        details = [refusal.detail for refusal in refusals]
        self.assertEqual(details, ["the token is bound to another client address", "the token is unknown"])
        text = " ".join([*seen, *map(repr, refusals), *map(str, refusals)])
        for secret in (TOKEN, sha256(TOKEN.encode()).hexdigest(), "secret"):
            self.assertNotIn(secret, text)

    async def test_missing_and_empty_passwords(self) -> None:
        await self.serve()
        vm = await self.host()
        vm.run()
        await self.token()
        self.assertIsNone(await self.api.get_vnc_password(TOKEN, "novnc", VIEWER))
        vm.passwords[VM] = ""
        await self.refused(ServiceUnavailable, self.api.get_vnc_password(TOKEN, "novnc", VIEWER))

    async def test_show_token(self) -> None:
        await self.serve()
        await self.token(internal_access_path="/x")
        self.assertEqual(
            await self.api.show_token(TOKEN),
            {"instance_uuid": VM, "host": "one.example", "port": 5900, "internal_access_path": "/x"},
        )

    async def test_two_workers_of_one_store(self) -> None:
        await self.serve(one_time=True)
        await self.serve(one_time=True)
        (await self.host()).run()
        await self.token()
        await self.check()
        for _ in range(3):
            await self.refused(InvalidToken, self.check())

    async def test_stopped(self) -> None:
        manager = await self.serve()
        await manager.stop()
        await self.refused(ServiceUnavailable, self.check())
        await manager.stop()
