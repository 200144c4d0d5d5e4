"""Limits of sessions over all proxies: their refusals, simultaneous links, and proxies that do not answer."""

from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, succeed

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth.open_sessions import SETTLED
from novnc_twisted.consoleauth.session_counts import ON_ITS_WAY, SessionRules
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import (
    ServiceUnavailable,
    TooManyForProject,
    TooManyForServer,
    TooManyForUser,
    TooManyFromAddress,
)
from tests.consoleauth.harness import OTHER_VM, TOKEN, VIEWER, VM, ConsoleAuthCase
from tests.consoleauth.test_history import SESSION

LINK = link_id(hash_token(TOKEN))


class CountCase(ConsoleAuthCase):
    async def setUp(self) -> None:
        await super().setUp()
        (await self.host()).run()
        self.asked: list[dict[str, Any]] = []
        self.counts: dict[str, Any] = {}
        self.checking: dict[str, Any] = {}
        self.hangs = False
        for worker in "ab":
            topic = PROXY.of("h", worker)
            methods = {"count_sessions": partial(self.count_sessions, topic)}
            await self.transport.serve(topic, methods, binary="novnc-sessions", host="h")
        self.api = type(self.api)(self.transport, now=self.clock.seconds, proxy=PROXY.of("h", "a"))

    async def count_sessions(self, topic: str, checking: Any = None, **wanted: Any) -> Any:
        self.asked.append(wanted if checking is None else {**wanted, "checking": checking})
        if self.hangs:
            await Deferred()
        return {name: self.counts.get(name, 0) for name in wanted} | {"checking": self.checking.get(topic)}

    async def records(self) -> list[str]:
        """Return the keys of the records in OpenSessions for the server."""
        return list(await self.transport.store.indexed(f"used:server:{VM}"))

    async def begin(self, **rules: int) -> None:
        await self.serve(session_rules=SessionRules(**rules))
        await self.token()


class CountTests(CountCase):
    async def test_off(self) -> None:
        """No proxy is asked, and nothing is stored."""
        await self.begin()
        await self.check()
        self.assertEqual((self.asked, await self.records()), ([], []))

    async def test_what_is_asked(self) -> None:
        await self.begin(
            max_sessions_per_user=9, max_sessions_per_project=9, max_sessions_per_address=9, max_sessions_per_server=9
        )
        await self.check()
        keys = {"user_id": "u", "project_id": "p", "client_network": VIEWER, "server_id": VM}
        self.assertEqual(self.asked, [keys] * 2)

    async def test_a_session_that_asks_again_is_not_counted_once_more(self) -> None:
        """Otherwise, it could not find its server again at the limit."""
        await self.begin(max_sessions_per_user=5)
        info = await self.check()
        self.counts["user_id"] = 5
        self.asked.clear()
        for _ in range(3):
            await self.api.find_again(TOKEN, VIEWER, info)
        self.assertEqual(self.asked, [])
        # Only from the address that was admitted.
        await self.refused(TooManyForUser, self.api.find_again(TOKEN, "192.0.2.99", info))

    async def test_an_ipv6_network(self) -> None:
        await self.begin(max_sessions_per_address=9)
        await self.check(viewer="2001:db8::1:2:3:4")
        self.assertEqual(self.asked[0], {"client_network": "2001:db8::/64"})

    async def test_the_refusal_of_each_limit(self) -> None:
        """The sessions of all proxies count together."""
        for option, field, refusal in (
            ("user", "user_id", TooManyForUser),
            ("project", "project_id", TooManyForProject),
            ("address", "client_network", TooManyFromAddress),
            ("server", "server_id", TooManyForServer),
        ):
            await self.transport.stop()
            await self.setUp()
            await self.begin(**{"max_sessions_per_user": 100, f"max_sessions_per_{option}": 5})
            self.counts = {field: 2}
            await self.check()
            self.counts = {field: 3}
            refused = await self.refused(refusal, self.check())
            self.assertEqual((refused.close_code, refused.detail), (4429, f"max_sessions_per_{option} is 5"))

    async def test_a_user_without_a_name(self) -> None:
        await self.serve(session_rules=SessionRules(max_sessions_per_user=1))
        await self.token(user_id=None)
        await self.check()
        self.assertEqual(self.asked, [])

    async def test_a_one_time_token_is_not_used_up(self) -> None:
        await self.serve(session_rules=SessionRules(max_sessions_per_user=1), one_time=True)
        await self.token()
        self.counts = {"user_id": 1}
        await self.refused(TooManyForUser, self.check())
        self.counts = {}
        await self.check()

    async def test_a_proxy_that_does_not_answer(self) -> None:
        await self.begin(max_sessions_per_user=5)
        self.hangs = True
        asked = Deferred.fromCoroutine(self.check())
        self.clock.advance(1)
        refusal = self.failureResultOf(asked, ServiceUnavailable).value
        self.assertIn("no answer from proxy.h.a, proxy.h.b", refusal.detail)
        self.hangs = False
        await self.check()

    async def test_wrong_answers(self) -> None:
        await self.begin(max_sessions_per_user=5)
        for wrong in (-5, True, "5", None, [5]):
            self.counts = {"user_id": wrong}
            self.checking = {PROXY.of("h", "a"): {LINK: wrong} if wrong else [wrong]}
            await self.check()
            self.clock.advance(ON_ITS_WAY)

    async def test_simultaneous_links(self) -> None:
        """An admitted session counts before its proxy has the answer, and until it is refused or has ended."""
        await self.begin(max_sessions_per_user=3)
        # Four links of one token: the proxy waits for four answers.
        self.checking = {PROXY.of("h", "a"): {LINK: 4}}
        for _ in range(3):
            await self.check()
        await self.refused(TooManyForUser, self.check())
        self.assertEqual(self.asked[-1], {"user_id": "u", "checking": [LINK]})
        # The proxy has received the answers, and one session has ended.
        self.counts, self.checking = {"user_id": 1}, {}
        await self.check()

    async def test_links_that_were_not_admitted_yet(self) -> None:
        """The proxies report them, but they do not count yet."""
        await self.begin(max_sessions_per_user=2)
        await self.check()
        self.checking = {PROXY.of("h", worker): {LINK: 9} for worker in "ab"}
        await self.check()
        await self.refused(TooManyForUser, self.check())

    async def test_an_answer_that_came_too_late(self) -> None:
        """The proxy has refused its session meanwhile, and now checks a link that was not admitted."""
        await self.begin(max_sessions_per_user=1)
        await self.check()
        self.checking = {PROXY.of("h", "a"): {LINK: 1}}
        self.clock.advance(ON_ITS_WAY)
        await self.check()

    async def test_other_users(self) -> None:
        await self.begin(max_sessions_per_user=1)
        await self.token("other", user_id="v")
        await self.check()
        self.checking = {PROXY.of("h", "a"): {LINK: 1}}
        await self.check("other")
        self.assertNotIn("checking", self.asked[-1])

    async def test_a_call_that_was_made_twice(self) -> None:
        """The repeated call with the same admission id does not count again."""
        await self.begin(max_sessions_per_user=2)
        self.checking = {PROXY.of("h", "a"): {LINK: 2}}
        await self.check()
        about = {"token_hash": hash_token(TOKEN), "console_type": "novnc", "client_address": VIEWER}
        more = {"proxy": PROXY.of("h", "a"), "admission": "5e" * 16}
        for _ in range(3):
            await self.transport.call("consoleauth", "check_token", **about, **more)
        await self.refused(TooManyForUser, self.check())

    async def test_nothing_is_left(self) -> None:
        manager = await self.serve(session_rules=SessionRules(max_sessions_per_user=1, max_sessions_per_address=1))
        await self.token()
        await self.token("other", user_id="v")
        for counts in ({}, {"user_id": 1}):
            self.counts = counts
            waiting = [Deferred.fromCoroutine(self.check()) for _ in range(3)]
            waiting[-1].addErrback(lambda _: None).cancel()
            for each in waiting:
                each.addErrback(lambda _: None)
        self.assertEqual(manager._counts._locks, {})
        self.clock.advance(ON_ITS_WAY)
        self.counts = {}
        await self.check("other")
        self.assertEqual((len(manager._counts._keys), len(manager._counts._admitted)), (1, 2))

    async def test_a_check_that_begins_when_another_one_ends(self) -> None:
        """It begins while an earlier check releases its lock, and this check must not remove the new lock."""
        await self.begin(max_sessions_per_user=5)
        first, third = Deferred[Any](), Deferred[Any]()
        answers: list[Deferred[Any]] = [first, fail(ServiceUnavailable()), third, succeed([])]
        self.patch(self.transport, "broadcast", lambda *_, **__: answers.pop(0))
        later: list[Deferred[Any]] = []
        checks = [Deferred.fromCoroutine(self.check()) for _ in range(2)]
        checks[1].addErrback(lambda _: later.append(Deferred.fromCoroutine(self.check())))
        first.callback([])
        later.append(Deferred.fromCoroutine(self.check()))
        for each in later:
            self.assertNoResult(each)
        third.callback([])
        for each in later:
            self.successResultOf(each)


class ServerTests(CountCase):
    """The limit of a server alone: the proxies are asked only if it may be reached."""

    async def setUp(self) -> None:
        await super().setUp()
        self.admissions: list[str] = []

    async def begin(self, **rules: int) -> None:
        await super().begin(max_sessions_per_server=rules.get("most", 3))
        self.counts = {"server_id": 0}

    async def admit(self, count: int = 1) -> None:
        """Let sessions be admitted, and wait until they are live."""
        for _ in range(count):
            self.admissions.append((await self.check()).admission)
        self.clock.advance(SETTLED + 1)

    async def end(self) -> None:
        """End the sessions that were admitted."""
        about = {"token_hash": hash_token(TOKEN), "client_address": VIEWER}
        sessions = [replace(SESSION, id=one, admission=one, **about) for one in self.admissions]
        rows = [EndedSession(session=one, ended_at=0.0, cause="ClientLeft").to_wire() for one in sessions]
        answer = await self.transport.call("consoleauth", "report_closed", sessions=rows)
        self.assertEqual(answer, {"kept": len(rows)})
        self.admissions.clear()

    async def test_below_the_limit(self) -> None:
        await self.begin()
        await self.admit(3)
        self.assertEqual(self.asked, [])

    async def test_over_all_proxies(self) -> None:
        """Each proxy has fewer than the limit."""
        await self.begin(most=4)
        await self.admit(4)
        self.counts = {"server_id": 2}
        refused = await self.refused(TooManyForServer, self.check())
        self.assertEqual((refused.close_code, refused.detail), (4429, "max_sessions_per_server is 4"))
        self.assertEqual(self.asked, [{"server_id": VM}] * 2)

    async def test_simultaneous_links(self) -> None:
        """Only as many as the limit are admitted, although none is live yet."""
        await self.begin()
        self.checking = {PROXY.of("h", "a"): {LINK: 9}}
        asked = [Deferred.fromCoroutine(self.check()) for _ in range(7)]
        outcomes = await DeferredList(asked, consumeErrors=True)
        self.assertEqual([done for done, _ in outcomes], [True] * 3 + [False] * 4)

    async def test_several_consoleauths(self) -> None:
        """Each knows of the sessions that another one has admitted."""
        first = await self.serve(session_rules=SessionRules(max_sessions_per_server=2))
        await self.token()
        await self.admit(2)
        await self.serve(session_rules=SessionRules(max_sessions_per_server=2))
        await first.stop()
        self.counts = {"server_id": 2}
        await self.refused(TooManyForServer, self.check())

    async def test_ended_sessions(self) -> None:
        """Any number of sessions one after the other needs no call to a proxy."""
        await self.begin()
        for count in (1, 1, 1, 1, 2, 3):
            await self.admit(count)
            await self.end()
        self.assertEqual((self.asked, await self.records()), ([], []))

    async def test_sessions_without_an_end(self) -> None:
        """After the proxies were asked once, they are not asked before the limit may be reached again."""
        await self.begin(most=4)
        await self.admit(4)
        await self.admit()
        self.assertEqual(len(self.asked), 2)
        self.assertEqual(len(await self.records()), 1)
        await self.admit(3)
        self.assertEqual(len(self.asked), 2)

    async def test_never_fewer_records_than_sessions(self) -> None:
        await self.begin(most=5)
        await self.admit(5)
        self.counts = {"server_id": 1}
        await self.admit()
        self.assertEqual(len(await self.records()), 3)
        await self.admit(2)
        self.counts = {"server_id": 3}
        await self.refused(TooManyForServer, self.check())

    async def test_young_records(self) -> None:
        """They stay: another consoleauth may have just admitted sessions that no proxy counts yet."""
        await self.begin(most=2)
        for _ in range(2):
            await self.check()
        self.clock.advance(ON_ITS_WAY)
        await self.check()
        self.assertEqual(len(await self.records()), 3)

    async def test_another_server(self) -> None:
        await self.begin(most=1)
        self.hosts["one"].run(OTHER_VM)
        await self.token("other", instance_uuid=OTHER_VM)
        await self.admit()
        await self.check("other")
        self.assertEqual(self.asked, [])
