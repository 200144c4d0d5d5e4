"""The list of people that pages show, with two fake workers."""

from typing import Any

from novnc_twisted.access import hash_token
from novnc_twisted.contract import Person
from tests.consoleauth.people_case import PeopleCase


class Shown(PeopleCase):
    async def test_everybody_is_notified(self) -> None:
        await self.begin()
        await self.one.open("a")
        self.assertEqual(self.shown("name"), ["user-a"])
        await self.two.open("b", "view")
        for worker in (self.one, self.two):
            self.assertEqual([one["id"] for one in worker.updates[-1]["people"]], ["a", "b"])
        self.assertGreater(self.one.updates[-1]["at"], self.one.updates[0]["at"])

    async def test_other_viewers(self) -> None:
        """The pages show a viewer without a page after the check of its token."""
        await self.begin()
        await self.one.open("a")
        await self.token("stock")
        self.two.sessions["stock"] = {
            **self.one.sessions["a"],
            "id": "stock",
            "has_page": False,
            "started_at": self.clock.seconds(),
        }
        await self.transport.call(
            "consoleauth",
            "check_token",
            token_hash=hash_token("stock"),
            console_type="novnc",
            client_address="192.0.2.1",
            proxy=self.two.topic,
        )
        self.clock.advance(1)
        self.assertEqual(self.shown("has_page"), [True, False])
        self.one.sessions.clear()
        await self.two.attend("stock")
        self.assertEqual([Person.from_wire(one).resizes for one in self.two.updates[-1]["people"]], [True])

    async def test_nobody_is_asked_without_a_page(self) -> None:
        await self.begin()
        await self.token("stock")
        self.one.sessions["stock"] = self.row("stock", has_page=False)
        self.api = type(self.api)(self.transport, now=self.clock.seconds, proxy=self.one.topic)
        await self.check("stock")
        self.clock.advance(1)
        self.assertEqual(self.one.updates, [])

    async def test_administrators(self) -> None:
        for hides in (False, True):
            await self.begin(hide_administrators=hides)
            await self.one.open("a")
            await self.one.open("b", "view", administrator=True)
            await self.one.open("c", "control", administrator=True)
            self.assertEqual(self.shown("hidden"), [False, hides, False])
            await self.one.change("b", "request")
            self.assertEqual(self.shown("hidden"), [False, False, False])
            await self.setUp()

    async def test_without_names(self) -> None:
        await self.begin(show_names=False)
        await self.one.open("a")
        self.assertEqual(self.shown("name"), [""])
        self.assertNotIn("user-a", str(self.one.updates))

    async def test_long_and_strange_names(self) -> None:
        await self.begin()
        await self.one.open("a", user_id="\u202ex" * 300)
        (name,) = self.shown("name")
        self.assertEqual(name, "?x" * 32)

    async def test_a_crowd(self) -> None:
        await self.begin()
        for number in range(40):
            await self.one.open(f"s{number}", "view")
        self.assertEqual((len(self.shown()), self.one.updates[-1]["more"]), (32, 0))

    async def test_workers_that_answer_nonsense(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.two.open("b")
        for nonsense in ({"sessions": [{"id": 1}]}, {"sessions": 1}, [], None):

            async def get_sessions(answer: Any = nonsense, **_: Any) -> Any:
                return answer

            methods = {"get_sessions": get_sessions, "show_people": self.two.show_people}
            await self.gone["two"]()
            self.gone["two"] = await self.transport.serve(self.two.topic, methods, binary="novnc-sessions", host="h")
            await self.one.attend("a")
            self.assertEqual(self.shown(), ["a"])
