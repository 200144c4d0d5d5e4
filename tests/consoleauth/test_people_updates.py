"""Which proxies get the list of people, and repeated updates."""

from typing import Any

from twisted.internet.defer import Deferred, fail

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth import people
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import InvalidToken, Revoked, ServiceUnavailable
from tests.consoleauth.harness import VM
from tests.consoleauth.people_case import PeopleCase


class Attending(PeopleCase):
    async def attend(self, token: str) -> None:
        await self.two.people.attend(token)

    async def test_only_with_a_token_of_the_server(self) -> None:
        """A stolen proxy credential reveals nothing about consoles at other proxies."""
        await self.begin()
        await self.one.open("a")
        with self.assertRaises(InvalidToken):
            await self.attend("guessed")
        self.assertEqual(self.two.updates, [])
        self.assertNotIn(self.two.topic, await self.transport.store.members(f"people:{VM}", 1))

    async def test_not_with_a_revoked_token(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.token("b")
        await self.api.revoke(SessionFilter(token_hash=hash_token("b")))
        with self.assertRaises(Revoked):
            await self.attend("b")

    async def test_a_session_outlives_the_record_of_its_token(self) -> None:
        """A one-time token has no lease, so its record expires while its session lives."""
        await self.begin(one_time=True)
        await self.token("a")
        await self.check("a")
        self.clock.advance(3600)
        self.assertIsNone(await self.transport.store.get(f"token:{hash_token('a')}"))
        self.two.sessions["a"] = {**self.row("a"), "token_hash": hash_token("a")}
        await self.attend("a")
        self.assertEqual([one["id"] for one in self.two.updates[-1]["people"]], ["a"])

    async def test_the_store_has_lost_the_token(self) -> None:
        self.transport.store.may_lose_data = True
        await self.begin()
        await self.token("a")
        await self.check("a")
        self.two.sessions["a"] = self.row("a")
        self.transport.store._entries.clear()
        await self.attend("a")
        self.assertEqual([one["id"] for one in self.two.updates[-1]["people"]], ["a"])


class RepeatedUpdates(PeopleCase):
    """An update that did not show or reach all sessions is repeated a few times."""

    async def both(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view")
        self.assertEqual(self.shown(), ["a", "b"])

    def counted(self) -> int:
        return len(self.one.updates)

    async def test_a_worker_that_was_silent(self) -> None:
        await self.both()
        self.two.silent = {"get_sessions"}
        asked = self.one.attend("a")
        attending = Deferred.fromCoroutine(asked)
        self.clock.advance(people.DEADLINE)
        await attending
        self.assertEqual(self.shown(), ["a"])
        self.two.silent = set()
        self.clock.advance(people.RETRY_DELAY)
        self.assertEqual(self.shown(), ["a", "b"])
        # This update was final, so no further one follows.
        before = self.counted()
        self.clock.pump([1] * 600)
        self.assertEqual(self.counted(), before)

    async def test_a_worker_that_did_not_take_the_update(self) -> None:
        await self.both()
        self.two.silent = {"show_people"}
        attending = Deferred.fromCoroutine(self.one.attend("a"))
        self.clock.advance(people.DEADLINE)
        await attending
        self.two.silent = set()
        before = len(self.two.updates)
        self.clock.advance(people.RETRY_DELAY)
        self.assertEqual(len(self.two.updates), before + 1)

    async def test_a_worker_that_stays_silent(self) -> None:
        """Five further updates, and the grants stay."""
        await self.both()
        await self.two.open("c", "view")
        await self.one.change("a", "give", "b")
        self.one.silent = {"get_sessions"}
        before = len(self.two.updates)
        attending = Deferred.fromCoroutine(self.two.attend("b"))
        self.clock.advance(people.DEADLINE)
        await attending
        self.clock.pump([0.5] * 400)
        self.assertEqual(len(self.two.updates) - before, 6)
        self.one.silent = set()
        await self.two.attend("b")
        self.assertEqual(self.modes(), "b")

    async def test_a_worker_whose_answer_cannot_be_read(self) -> None:
        """For example, one of another version: its sessions are unknown, so the grants stay."""
        await self.both()
        await self.two.open("c", "view")
        await self.one.change("a", "give", "b")
        row: dict[str, Any] = {**self.row("x"), "phase": "strange"}
        for answer in (None, [], {}, {"sessions": 5}, {"sessions": [5]}, {"sessions": [row], "more": False}):
            self.one.answers = {"get_sessions": answer}
            before = len(self.two.updates)
            await self.two.attend("b")
            self.clock.advance(people.RETRY_DELAY)
            self.assertEqual(len(self.two.updates), before + 2, "the update is repeated")
            self.one.answers = {}
            await self.two.attend("b")
            self.assertEqual((self.shown(), self.modes()), (["a", "b", "c"], "b"))

    async def test_a_worker_with_more_sessions_than_it_lists(self) -> None:
        """The grants stay; the update is not repeated, since it would find the same."""
        await self.both()
        await self.two.open("c", "view")
        await self.one.change("a", "give", "b")
        for more in ({"more": True}, {}):
            self.one.answers = {"get_sessions": {"sessions": [], **more}}
            before = len(self.two.updates)
            await self.two.attend("b")
            self.clock.pump([1] * 30)
            self.assertEqual(len(self.two.updates), before + 1)
        self.one.answers = {}
        await self.two.attend("b")
        self.assertEqual((self.shown(), self.modes()), (["a", "b", "c"], "b"))

    async def test_a_worker_that_reports_no_number_of_pages(self) -> None:
        await self.both()
        for answer in (None, {}, {"asked": "1"}, {"asked": -1}):
            self.one.answers = {"show_people": answer}
            self.assertEqual(await self.two.change("b", "request"), "nobody")

    async def test_a_session_that_is_being_set_up(self) -> None:
        """It is shown when it is live, even if it has no page."""
        await self.both()
        self.two.sessions["c"] = {**self.row("c"), "phase": "upstream", "has_page": False}
        await self.one.attend("a")
        self.assertEqual(self.shown(), ["a", "b"])
        self.two.sessions["c"]["phase"] = "live"
        self.clock.advance(people.RETRY_DELAY)
        self.assertEqual(self.shown(), ["a", "b", "c"])

    async def test_a_change_does_not_wait_for_a_repetition(self) -> None:
        await self.both()
        self.two.sessions["c"] = {**self.row("c"), "phase": "upstream"}
        await self.one.attend("a")
        before = self.counted()
        del self.two.sessions["b"]
        await self.report_closed()
        self.assertEqual((self.counted(), self.shown()), (before + 1, ["a"]))

    async def test_the_store_does_not_answer(self) -> None:
        """The update is repeated later."""
        await self.both()
        del self.two.sessions["b"]
        now = self.transport.store.now
        self.patch(self.transport.store, "now", lambda: fail(ServiceUnavailable("the store is away")))
        await self.report_closed()
        self.assertEqual(self.shown(), ["a", "b"])
        self.patch(self.transport.store, "now", now)
        self.clock.advance(people.RETRY_DELAY)
        self.assertEqual(self.shown(), ["a"])
