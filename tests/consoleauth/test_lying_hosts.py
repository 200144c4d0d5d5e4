"""A compute host whose credential was stolen, so that its answers may be false."""

from twisted.internet.defer import Deferred

from novnc_twisted.errors import ConsoleForbidden, ConsoleUnreachable, InvalidToken, ServiceUnavailable
from tests.consoleauth.harness import TOKEN, VIEWER, VM, ConsoleAuthCase


class LyingHostTests(ConsoleAuthCase):
    """It gets no viewer of another host's server, and no access to that server."""

    async def setUp(self) -> None:
        await super().setUp()
        await self.serve()
        self.true, self.liar = await self.host("one"), await self.host("liar")

    async def test_tokens_lead_to_the_true_host_while_it_runs_the_server(self) -> None:
        self.true.run()
        await self.token()
        self.liar.run()
        self.assertEqual((await self.check()).compute_host, "one")

    async def test_a_server_that_two_hosts_run_gets_no_token(self) -> None:
        self.true.run()
        self.liar.run()
        for host in ("one", "liar"):
            refusal = await self.refused(ConsoleUnreachable, self.token(compute_host=host))
            self.assertEqual(refusal.detail, "2 hosts run the server")
        await self.refused(InvalidToken, self.check())

    async def test_a_host_that_hangs_delays_other_tokens_only_briefly(self) -> None:
        self.true.run()
        self.liar.hangs = True
        making = Deferred.fromCoroutine(self.token())
        self.clock.advance(1.5)
        await making
        self.assertEqual((await self.check()).compute_host, "one")

    async def test_it_reports_the_address_of_another_host(self) -> None:
        self.liar.run()
        await self.token(compute_host="liar")
        for address in ("one.example", "127.0.0.1", "", None):
            self.liar.consoles[VM]["host"] = address
            await self.refused(ServiceUnavailable, self.check())

    async def test_it_claims_a_stopped_server_with_a_false_owner(self) -> None:
        """A token that was made with the false owner opens nothing on the host that has the server."""
        self.liar.run(owner="evil")
        await self.token(compute_host="liar", owner="evil")
        self.assertEqual((await self.check()).compute_host, "liar")
        self.liar.consoles.clear()
        for owner in ("red", ""):
            self.true.run(owner=owner)
            await self.refused(ConsoleForbidden, self.check())
            await self.refused(ConsoleForbidden, self.api.get_vnc_password(TOKEN, "novnc", VIEWER))

    async def test_a_server_that_moved_keeps_its_owner(self) -> None:
        for token, owner in (("a", "red"), ("b", "name of red"), ("c", None)):
            self.liar.consoles.clear()
            self.true.run(owner="red")
            await self.token(token, owner=owner)
            self.true.consoles.clear()
            self.liar.run(owner="red")
            self.assertEqual((await self.check(token)).compute_host, "liar")

    async def test_the_server_passes_to_another_project(self) -> None:
        """Each use of a token checks the project in the present domain XML."""
        for made_for, now in (("red", "blue"), ("name of red", "blue"), ("red", ""), ("name of red", "")):
            self.true.run(owner="red")
            token = f"{made_for}-{now}"
            await self.token(token, owner=made_for)
            for _ in range(2):
                await self.check(token)
                self.true.run(owner=now)
                await self.refused(ConsoleForbidden, self.check(token))
                await self.refused(ConsoleForbidden, self.api.get_vnc_password(token, "novnc", VIEWER))
                self.true.run(owner="red")

    async def test_a_lease_does_not_outlive_the_project(self) -> None:
        self.true.run(owner="red")
        await self.token(owner="red")
        await self.api.keep_token(TOKEN, VIEWER)
        self.true.run(owner="blue")
        await self.refused(ConsoleForbidden, self.check())

    async def test_a_host_that_reports_no_owner(self) -> None:
        self.true.run(owner="red")
        await self.token(owner="red")
        self.true.run()
        await self.refused(ServiceUnavailable, self.check())

    async def test_invalid_owners(self) -> None:
        self.true.run(owner="red")
        await self.token(owner="red")
        for owners in ("red", {"red": 1}, ["red"] * 3, [None], ["x\n"], [1]):
            self.true.consoles[VM]["owners"] = owners
            await self.refused(ServiceUnavailable, self.check())

    async def test_it_reports_a_server_gone_while_the_true_host_is_silent(self) -> None:
        """The tokens stay: the false host can suppress the answers of other hosts."""
        self.true.run()
        await self.token()
        self.true.hangs = True
        answer = self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)
        self.clock.advance(2)
        with self.assertRaises(ServiceUnavailable):
            await answer
        self.true.hangs = False
        await self.check()

    async def test_it_reports_the_server_of_another_host_gone(self) -> None:
        self.true.run()
        await self.token()
        answer = await self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)
        self.assertEqual(answer, {"gone": False, "deleted": 0})
        await self.check()
        self.true.consoles.clear()
        answer = await self.transport.call("consoleauth", "instance_gone", instance_uuid=VM)
        self.assertEqual(answer, {"gone": True, "deleted": 1})
        await self.refused(InvalidToken, self.check())
