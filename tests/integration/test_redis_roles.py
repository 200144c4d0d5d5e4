"""Users of Redis by role: each service works, and Redis denies none of its commands."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.access import hash_token
from novnc_twisted.compute.interfaces import Change
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import ConsoleUnreachable, InvalidToken, Revoked, ServiceUnavailable
from novnc_twisted.messaging.wire import MAX_CONCURRENCY
from novnc_twisted.session.manager import SessionManager
from novnc_twisted.session.rpcapi import SessionsAPI
from tests.compute.harness import A, B, domain
from tests.integration.redis_case import RedisTestCase
from tests.integration.redis_roles import VIEWER, RolesCase
from tests.session.test_manager import FakeRegistry
from tests.support.redis_server import RedisServer


class SlotsTests(RedisTestCase):
    """Callers of each role have their own slots."""

    async def test_who_fills_his_slots_holds_up_nobody_else(self) -> None:
        redis = RedisServer(self)
        held: list[Deferred[None]] = []

        def hold() -> Deferred[None]:
            held.append(Deferred())
            return held[-1]

        async def note(value: Any) -> Any:
            self.ran.append(value)
            return value

        server = await self.transport(redis.url)
        await server.serve("t", {"hold": hold, "note": note}, binary="b", host="h")
        proxy, api = await self.transport(redis.url, "proxy"), await self.transport(redis.url, "api")
        holding = gatherResults([proxy.call("t", "hold", deadline=120) for _ in range(MAX_CONCURRENCY)])
        await self.until(lambda: len(held) == MAX_CONCURRENCY)
        late = proxy.call("t", "note", value="late", deadline=120)
        for number in range(20):
            self.assertEqual(await api.call("t", "note", value=number), number)
        self.assertNotIn("late", self.ran)
        held.pop().callback(None)
        self.assertEqual(await late, "late")
        while held:
            held.pop().callback(None)
        await holding


class WorkTests(RolesCase):
    """All calls between the services."""

    def assert_nothing_denied(self) -> None:
        denied = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in self.admin("ACL", "LOG")]
        self.assertEqual([(one[b"username"], one[b"reason"], one[b"object"]) for one in denied], [])

    async def test_everything_works(self) -> None:
        token = await self.make_token()
        info = await self.door.check_token(token, "novnc", VIEWER)
        self.assertEqual((info.host, info.port, info.compute_host), ("192.0.2.1", 5900, "one"))
        self.assertEqual(await self.door.get_vnc_password(token, "novnc", VIEWER), "vnc-secret")
        await self.door.keep_token(token, VIEWER)
        self.assertEqual((await self.authority.show_token(token))["instance_uuid"], A)
        self.assertEqual([one.uuid for one in await self.compute.list_instances()], [B, A])
        gone = await self.proxy.announce("novncproxy.control", binary="nova-novncproxy", host="control")
        topics = ["compute.one", "compute.two", "consoleauth", "novncproxy.control"]
        self.assertEqual([one.topic for one in await self.api.services()], topics)
        self.assertEqual([one.place for one in await self.api.services("compute.")], ["192.0.2.1", "192.0.2.2"])
        await gone()
        await self.managers["two"].stop()
        expected = {"compute.two": "~"}  # calls wait for its restart
        found = {one.topic: one.worker for one in await self.api.services() if one.topic in ("compute.two", topics[3])}
        self.assertEqual(found, expected)
        dropped = await self.api.call("consoleauth", "delete_tokens_for_instance", instance_uuid=A)
        self.assertEqual(dropped, {"deleted": 1})
        await self.api.store.put_new("api:identity", {"secret": "x"}, 60)
        self.assertEqual(await self.api.store.get("api:identity"), {"secret": "x"})
        await self.api.store.extend("api:identity", 90)
        self.assert_nothing_denied()

    async def test_the_tokens_of_persons(self) -> None:
        store = self.api.store
        self.assertTrue(await store.put_new("api:tokens:x:0", {"name": "x"}, 60))
        self.assertEqual(await store.get_many(["api:tokens:x:0", "api:tokens:x:1"]), [{"name": "x"}, None])
        await store.put("api:token:x", {"name": "x"}, 60)
        self.assertEqual(await store.remove("api:token:x", "api:token-used:x"), 1)
        self.assert_nothing_denied()

    async def test_readiness(self) -> None:
        """Each role may ask what the readiness of its services depends on."""
        await self.auth.check_store()
        for name in ("api", "proxy"):
            await (await self.login(name)).ping("consoleauth")
        await (await self.login("compute.one")).ping()
        await (await self.login("consoleauth")).ping()
        await self.auth.stop()
        await self.proxy.ping("consoleauth")  # it may be a restart
        self.admin("DEL", "novnc:p:consoleauth")
        await self.refused(ServiceUnavailable, self.proxy.ping("consoleauth"))

    async def test_the_sessions_of_a_worker(self) -> None:
        """The API and consoleauth reach every worker of the proxies; each worker has a topic of its own."""
        for host in ("edge1", "edge2"):
            manager = SessionManager(self.proxy, FakeRegistry(), host=host)
            await manager.start()
            self.addCleanup(manager.stop)
        for transport in (self.api, self.auth._transport):
            answers = await transport.broadcast(PROXY.prefix, "end_sessions", user_id="u")
            self.assertEqual([one.service.topic[:12] for one in answers], ["proxy.edge1.", "proxy.edge2."])
            self.assertEqual([one.result for one in answers], [{"ended": 0}, {"ended": 0}])
        self.assert_nothing_denied()

    async def test_revocations_rights_and_history(self) -> None:
        """The API's calls to consoleauth about sessions, and a proxy's reports."""
        sessions = SessionManager(self.proxy, FakeRegistry(), host="edge1")
        await sessions.start()
        self.addCleanup(sessions.stop)
        token = await self.make_token()
        token_hash = hash_token(token)
        self.assertEqual((await self.authority.set_mode(token_hash, "view")).unanswered, ())
        checked = [await self.door.check_token(token, "novnc", VIEWER) for _ in range(3)]
        self.assertEqual([info.mode for info in checked], ["view"] * 3)
        self.assertEqual(await self.door.keep_token(token, VIEWER), "view")
        self.assertEqual((await self.authority.revoke(SessionFilter(token_hash=token_hash))).tokens, 1)
        await self.refused(Revoked, self.door.check_token(token, "novnc", VIEWER))
        await self.refused(Revoked, self.door.keep_token(token, VIEWER))
        session = SessionInfo(
            id="s",
            console_type="novnc",
            client_address=VIEWER,
            proxy="edge1",
            phase="live",
            started_at=1.0,
            token_hash=token_hash,
        )
        # One session more than was admitted, which is not in the history.
        sessions = [replace(session, admission=one) for one in (*(info.admission for info in checked), "0a" * 16)]
        ended = [EndedSession(session=one, ended_at=float(at), cause="ClientLeft") for at, one in enumerate(sessions)]
        await self.proxy.call("consoleauth", "report_closed", sessions=[each.to_wire() for each in ended])
        rows, following = await self.authority.history(HistoryQuery(), limit=2)
        self.assertEqual([row.ended_at for row in rows], [2.0, 1.0])
        rows, following = await self.authority.history(HistoryQuery(), limit=2, marker=following or "")
        self.assertEqual(([row.ended_at for row in rows], following), ([0.0], None))
        self.assertEqual(await SessionsAPI(self.api).page(SessionFilter(), limit=9), ([], False))
        answers = await self.auth._transport.broadcast(PROXY.prefix, "count_sessions", user_id="u")
        self.assertEqual([one.result for one in answers], [{"user_id": 0}])
        self.assert_nothing_denied()

    async def test_a_server_that_is_gone(self) -> None:
        """Its host reports that it is gone; consoleauth checks that."""
        token = await self.make_token()
        driver = self.drivers["one"]
        driver.tell(Change.CONNECTED)
        del driver.domains[A]
        driver.tell(Change.UNDEFINED, A)
        await self.until(lambda: self.logged.lines("tokens dropped: 1"))
        await self.refused(InvalidToken, self.door.check_token(token, "novnc", VIEWER))
        self.assert_nothing_denied()

    async def test_a_server_that_moves(self) -> None:
        token = await self.make_token()
        self.drivers["two"].add(self.drivers["one"].domains.pop(A))
        info = await self.door.check_token(token, "novnc", VIEWER)
        self.assertEqual((info.host, info.compute_host), ("192.0.2.2", "two"))
        self.assertEqual(await self.door.get_vnc_password(await self.make_token(), "novnc", VIEWER), None)
        self.assert_nothing_denied()

    async def test_policies_that_keep_more_in_the_store(self) -> None:
        await self.auth.stop()
        strict: dict[str, Any] = {"one_time": True, "bind_address": True, "max_tokens_per_server": 1}
        manager = type(self.auth)(await self.login("consoleauth"), self.auth._places._clock, **strict)
        await manager.start()
        self.addCleanup(manager.stop)
        first, token = await self.make_token(), await self.make_token()
        await self.door.check_token(token, "novnc", VIEWER)
        await self.refused(InvalidToken, self.door.check_token(token, "novnc", VIEWER))
        await self.refused(InvalidToken, self.door.check_token(first, "novnc", VIEWER))
        self.assert_nothing_denied()

    async def test_redis_is_restarted(self) -> None:
        """Redis lost the scripts, which only consoleauth may load: the others wait for it."""
        self.redis.kill()
        self.redis.start()
        token = await self.make_token_soon()
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")

    async def test_the_scripts_are_flushed(self) -> None:
        """consoleauth, which stays connected, loads them again."""
        self.admin("SCRIPT", "FLUSH")
        token = await self.make_token()
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")

    async def make_token_soon(self) -> str:
        while True:
            try:
                return await self.make_token()
            except Exception as error:
                self.assertEqual(type(error).__name__, "ServiceUnavailable")
                await self.pause(0.1)

    async def test_a_server_that_two_hosts_run(self) -> None:
        token = await self.make_token()
        self.drivers["two"].add(domain(A, "of-red", project_id="red"))
        self.assertEqual((await self.door.check_token(token, "novnc", VIEWER)).compute_host, "one")
        self.assertEqual(await self.refused(ConsoleUnreachable, self.make_token()), "2 hosts run the server")
        self.assertEqual(len(self.logged.lines(f"server {A} runs on one and two")), 1)
