"""Sessions that cannot get control, because an operator or the sharer has limited their links to viewing."""

from novnc_twisted.access import hash_token
from tests.consoleauth.people_case import PeopleCase


class Limits(PeopleCase):
    async def test_an_operator_is_stronger(self) -> None:
        """A session that an operator limits to viewing cannot get control, and a grant to it ends."""
        await self.begin()
        await self.token("b", mode="view")
        await self.token("a")
        await self.one.open("a")
        await self.two.open("b", "view")
        await self.one.change("a", "give", "b")
        await self.api.set_mode(hash_token("b"), "view")
        self.clock.advance(0)
        self.assertEqual(self.modes(), "a")
        self.assertEqual(await self.one.change("a", "give", "b"), "barred")
        # The giver is limited.
        await self.two.open("c", "view")
        await self.one.change("a", "give", "c")
        self.assertEqual(self.modes(), "c")
        await self.api.set_mode(hash_token("a"), "view")
        self.clock.advance(0)
        self.assertEqual(self.modes(), "")

    async def test_a_guest_who_shall_only_watch(self) -> None:
        """The sharer takes control from a guest, also for the guest's next connection, and gives it again."""
        await self.begin()
        await self.token("a")
        link = await self.one.people.share("a", "192.0.2.7", "control", 300)
        await self.one.open("a")
        await self.two.open("b", token_hash=hash_token(link.token), shared_from=hash_token("a"))
        self.assertEqual((self.modes(), self.shown("hosts")), ("ab", [(), ("a",)]))
        self.assertIsNone(await self.one.change("a", "take", "b"))
        self.assertEqual(self.modes(), "a")
        self.assertEqual((await self.check(link.token)).mode, "view")
        self.assertIsNone(await self.one.change("a", "give", "b"))
        self.assertEqual(self.modes(), "b")
        self.assertEqual((await self.check(link.token)).mode, "control")
        # A guest takes nothing from the one who shared the link.
        self.two.tokens["b"] = link.token
        self.assertEqual(await self.two.change("b", "take", "a"), "no-control")

    async def test_a_guest_of_a_limited_link(self) -> None:
        """If an operator limits the sharer to viewing, nobody can give control to the sharer's guests."""
        await self.begin()
        await self.token("a")
        await self.token("c")
        await self.one.open("a")
        await self.one.open("c")
        for number, mode in enumerate(("control", "view")):
            guest = f"guest{number}"
            link = await self.one.people.share("a", "192.0.2.7", mode, 300)
            await self.two.open(guest, "view", token_hash=hash_token(link.token), shared_from=hash_token("a"))
            self.assertIsNone(await self.one.change("c", "give", guest), mode)
            self.assertIn(guest, self.modes())
            await self.api.set_mode(hash_token("a"), "view")
            self.clock.advance(0)
            self.assertEqual(self.modes(), "c", mode)
            self.assertEqual(await self.one.change("c", "give", guest), "barred", mode)
            await self.api.set_mode(hash_token("a"), "control")
            self.clock.advance(0)

    async def test_an_operator_and_the_sharer_limit_the_same_guest(self) -> None:
        """In either order, the sharer undoes nothing that the operator did."""
        await self.begin()
        await self.token("a")
        link = await self.one.people.share("a", "192.0.2.7", "control", 300)
        guest = hash_token(link.token)
        await self.one.open("a")
        await self.two.open("b", token_hash=guest, shared_from=hash_token("a"))
        for first in ("operator", "sharer"):
            await self.api.set_mode(guest, "control")
            self.clock.advance(0)
            if first == "sharer":
                self.assertIsNone(await self.one.change("a", "take", "b"))
            await self.api.set_mode(guest, "view")
            self.clock.advance(0)
            # The guest's worker has not applied it yet.
            self.two.sessions["b"]["right"] = "control"
            self.assertIsNone(await self.one.change("a", "take", "b"))
            self.assertEqual(await self.one.change("a", "give", "b"), "barred")
            self.assertEqual((await self.check(link.token)).mode, "view")
