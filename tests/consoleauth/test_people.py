"""Who has control of a console, with two fake workers."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.access import hash_token
from novnc_twisted.consoleauth.grants import KEPT
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.events import ControlChanged
from tests.consoleauth.harness import VM
from tests.consoleauth.people_case import PeopleCase


class Control(PeopleCase):
    async def test_handed_over_and_taken_back(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view")
        self.assertEqual(self.modes(), "a")
        self.assertIsNone(await self.one.change("a", "give", "b"))
        self.assertEqual((self.modes(), self.shown("given_by")), ("b", ["", "a"]))
        self.assertEqual(await self.one.change("a", "give", "b"), "no-control")
        self.assertIsNone(await self.one.change("a", "take"))
        self.assertEqual(self.modes(), "a")
        self.assertEqual(await self.one.change("a", "take"), "no-control")
        self.assertEqual([event.action for event in self.seen if isinstance(event, ControlChanged)], ["give", "take"])

    async def test_returned(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view")
        for how in (("release",), ("give", "a")):
            await self.one.change("a", "give", "b")
            self.assertIsNone(await self.two.change("b", *how))
            self.assertEqual(self.modes(), "a")
        self.assertEqual(await self.two.change("b", "release"), "no-control")

    async def test_given_to_one_who_gave_it_away(self) -> None:
        """If a gives control to b, b to c, and c back to a, then a has control, and no grant counts any more."""
        await self.begin()
        for name, right in (("a", "control"), ("b", "view"), ("c", "view")):
            await self.one.open(name, right)
        await self.gives("ab", "bc", "ca")
        self.assertEqual((self.modes(), self.shown("given_by")), ("a", ["", "", ""]))
        # If c gives control back to b, only the grant from b to c ends.
        await self.gives("ab", "bc", "cb")
        self.assertEqual(self.modes(), "b")
        self.assertIsNone(await self.one.change("b", "release"))
        self.assertEqual(self.modes(), "a")

    async def test_given_between_those_whose_links_permit_it(self) -> None:
        await self.begin()
        for name, right in (("a", "control"), ("b", "view"), ("c", "control")):
            await self.one.open(name, right)
        await self.gives("cb", "ac")
        self.assertEqual((self.modes(), self.shown("given_by")), ("c", ["", "", "a"]))
        await self.gives("cb", "ba")
        self.assertEqual((self.modes(), self.shown("given_by")), ("a", ["b", "c", ""]))
        await self.gives("ac", "ca")
        self.assertEqual(self.modes(), "a")
        self.assertIsNone(await self.one.change("c", "take"))
        self.assertEqual(self.modes(), "ac")

    async def test_given_to_each_other_at_the_same_moment(self) -> None:
        """If two sessions whose links permit control give it to each other, both keep it."""
        await self.begin()
        await self.one.open("a")
        await self.two.open("b")
        put, held = self.transport.store.put, []

        async def put_later(*arguments: Any) -> None:
            held.append(Deferred())
            await held[-1]
            await put(*arguments)

        self.patch(self.transport.store, "put", lambda *arguments: Deferred.fromCoroutine(put_later(*arguments)))
        given = [Deferred.fromCoroutine(self.one.change("a", "give", "b"))]
        given += [Deferred.fromCoroutine(self.two.change("b", "give", "a"))]
        for one in held:
            one.callback(None)
        self.assertEqual([self.successResultOf(answer) for answer in given], [None, None])
        self.assertEqual((len(held), self.modes(), self.shown("given_by")), (2, "ab", ["", ""]))

    async def test_given_after_a_reconnection(self) -> None:
        """The link of b permits control.  So b's new session c gets no grant from a, even after c gave control to z."""
        await self.begin()
        await self.one.open("a")
        await self.two.open("b")
        await self.two.open("z", "view")
        await self.gives("ab")
        del self.two.sessions["b"]
        await self.report_closed("b")
        await self.two.open("c", token_hash=hash_token("b"))
        self.two.tokens["c"] = "b"
        self.assertIsNone(await self.two.change("c", "give", "z"))
        self.assertEqual(self.modes(), "az")

    async def test_given_again_while_not_all_sessions_are_known(self) -> None:
        """If a gives b control again, the old grant from b to c, which is still stored, must not count again."""
        await self.begin()
        await self.one.open("a")
        for name in "bc":
            await self.one.open(name, "view")
        await self.two.open("d", "view")
        await self.gives("ab", "bc")
        self.two.answers = {"get_sessions": {"sessions": [], "more": True}}
        self.assertIsNone(await self.one.change("a", "take"))
        await self.gives("ab")
        self.assertEqual(self.modes(), "b")

    async def gives(self, *pairs: str) -> None:
        """Give control from the first session of each pair to the second, which must then be the only one of the two
        with control."""
        for giver, receiver in pairs:
            self.assertIsNone(await self.one.change(giver, "give", receiver))
            self.assertEqual(set(self.modes()) & {giver, receiver}, {receiver}, (giver, receiver))

    async def test_asked_for(self) -> None:
        await self.begin()
        await self.two.open("b", "view")
        self.assertEqual(await self.two.change("b", "request"), "nobody")
        await self.one.open("a")
        self.assertIsNone(await self.two.change("b", "request"))
        self.assertEqual(self.one.updates[-1]["asked"], "b")
        self.assertEqual(await self.one.change("a", "request"), "no-control")

    async def test_only_while_both_live(self) -> None:
        await self.begin()
        for leaves, left in (("a", ""), ("b", "a")):
            await self.one.open("a")
            await self.two.open("b", "view")
            await self.one.change("a", "give", "b")
            self.one.sessions.pop(leaves, None)
            self.two.sessions.pop(leaves, None)
            await self.report_closed(leaves)
            self.assertEqual(self.modes(), left)
            # Another token has only its own right.
            await self.two.open("b2", "view")
            self.assertEqual(self.modes(), left)
            self.one.sessions.clear()
            self.two.sessions.clear()

    async def test_as_long_as_both_live(self) -> None:
        """Even if that is longer than KEPT."""
        await self.begin(token_ttl=10 * KEPT)
        await self.one.open("a")
        await self.two.open("b", "view")
        await self.one.change("a", "give", "b")
        for _ in range(3):
            self.clock.advance(KEPT - 1)
            await self.two.attend("b")
            self.assertEqual(self.modes(), "b")

    async def test_the_receiver_comes_back(self) -> None:
        """Before or after the old session's end is reported, a new one opens.  After both, the new one has control."""
        await self.begin()
        for reported_first in (True, False):
            await self.one.open("a")
            await self.two.open("b", "view")
            await self.one.change("a", "give", "b")
            del self.two.sessions["b"]
            if reported_first:
                await self.report_closed("b")
                self.assertEqual(self.modes(), "a")
            await self.two.open("b2", "view", token_hash=hash_token("b"))
            if not reported_first:
                self.assertEqual(self.modes(), "a")
                await self.report_closed("b")
            self.assertEqual((self.modes(), self.shown("given_by")), ("b2", ["", "a"]))
            self.two.tokens["b2"] = "b"
            self.assertIsNone(await self.two.change("b2", "release"))
            self.assertEqual(self.modes(), "a")
            # Returned control is not given again.
            del self.two.sessions["b2"]
            await self.report_closed("b2")
            await self.two.open("b3", "view", token_hash=hash_token("b"))
            self.assertEqual(self.modes(), "a")
            self.two.sessions.clear()
        given = [event for event in self.seen if isinstance(event, ControlChanged) and event.action == "give"]
        self.assertEqual([(one.session_id, one.other_session_id) for one in given], [("a", "b"), ("a", "b2")] * 2)

    async def test_the_receiver_does_not_come_back(self) -> None:
        """A later session does not get the grant if the receiver lives, if the later session has another token, if the
        giver has no control, or if RETURN_TIME is over."""
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view")
        await self.one.change("a", "give", "b")
        await self.report_closed("b")  # false: it lives
        await self.two.open("c", "view", token_hash=hash_token("b"))
        self.assertEqual(self.modes(), "b")
        self.two.sessions.clear()
        await self.report_closed("b")
        await self.two.open("d", "view")
        self.assertEqual(self.modes(), "a")
        await self.one.change("a", "give", "d")
        await self.two.open("e", "view", token_hash=hash_token("b"))
        self.assertEqual(self.modes(), "d")
        await self.one.change("a", "take")
        self.assertEqual(self.modes(), "a")
        await self.one.change("a", "give", "e")
        del self.two.sessions["e"]
        await self.report_closed("e")
        self.clock.advance(10)
        await self.two.open("f", "view", token_hash=hash_token("b"))
        self.assertEqual(self.modes(), "a")

    async def test_others_with_the_same_link(self) -> None:
        """The grant of a guest who left does not pass to an older session, or to one from another address."""
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view", client_address="192.0.2.7")
        await self.two.open("c", "view", token_hash=hash_token("b"), client_address="192.0.2.7")
        await self.one.change("a", "give", "b")
        del self.two.sessions["b"]
        await self.report_closed("b")
        await self.two.open("d", "view", token_hash=hash_token("b"), client_address="192.0.2.8")
        self.assertEqual(self.modes(), "a")
        await self.two.open("e", "view", token_hash=hash_token("b"), client_address="192.0.2.7")
        self.assertEqual(self.modes(), "e")

    async def test_a_worker_that_crashed(self) -> None:
        """Nothing reports the end of its sessions; the next update notices it."""
        await self.begin()
        await self.one.open("a")
        await self.two.open("b", "view")
        await self.one.change("a", "give", "b")
        await self.gone["one"]()
        self.one.sessions.clear()
        await self.two.attend("b")
        self.assertEqual(self.modes(), "")
        self.assertEqual([one["id"] for one in self.two.updates[-1]["people"]], ["b"])
        group = await self.transport.store.members(f"people:{VM}", 1)
        self.assertEqual(group, ["page:proxy.h.two", "proxy.h.two"])

    async def test_sessions_that_cannot_receive_control(self) -> None:
        await self.begin()
        await self.one.open("a")
        await self.two.open("stock", "view", has_page=False)
        await self.two.open("b", "view")
        for other, why in (("stock", "barred"), ("nobody", "gone"), ("a", "gone"), ("", "gone")):
            self.assertEqual(await self.one.change("a", "give", other), why, other)
        self.assertEqual(await self.two.change("b", "give", "a"), "no-control")
        self.assertEqual(await self.one.change("nobody", "give", "a"), "gone")
        # A call for session a with another token than that of session a is refused.
        self.assertEqual(await self.two.people.change_control(VM, "a", "another token", "give", "b"), "gone")
        self.assertEqual(self.modes(), "a")

    async def test_a_proxy_that_lies_about_a_right(self) -> None:
        """It cannot hand over control that the token does not permit."""
        await self.begin()
        await self.one.open("a", "view")
        await self.two.open("b", "view")
        for more in ({}, {"token_hash": hash_token("unknown")}):
            self.one.sessions["a"] |= {"right": "control", "mode": "control", **more}
            self.one.tokens["a"] = "unknown" if more else "a"
            self.assertEqual(await self.one.change("a", "give", "b"), "no-control")

    async def test_the_first_resizes(self) -> None:
        await self.begin()
        await self.one.open("a", control_since=1.0)
        await self.two.open("b", control_since=2.0)
        self.assertEqual(self.shown("resizes"), [True, False])
        await self.one.change("a", "give", "b")
        self.assertEqual(self.shown("resizes"), [False, True])

    async def test_invalid_arguments(self) -> None:
        await self.begin()
        for method, arguments in (
            ("attend", {"token_hash": "x", "topic": "proxy.h.w"}),
            ("attend", {"token_hash": hash_token("a"), "topic": "compute.one"}),
            ("attend", {"token_hash": hash_token("a"), "topic": "proxy.a b"}),
            ("change_control", {"server_id": VM, "session_id": "a", "token_hash": "", "action": "steal"}),
            ("change_control", {"server_id": VM, "session_id": ["a"], "token_hash": "", "action": "take"}),
            ("change_control", {"server_id": VM, "session_id": "a", "token_hash": "", "action": "take", "other": {}}),
            (
                "check_token",
                {"token_hash": hash_token("a"), "console_type": "novnc", "client_address": "x", "proxy": 1},
            ),
        ):
            await self.assertFailure(self.transport.call("consoleauth", method, **arguments), ServiceUnavailable)
