"""Who has control of a console, decided from the rights and the grants."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.consoleauth.control import settle
from novnc_twisted.consoleauth.grants import Grants
from novnc_twisted.contract import SessionInfo
from novnc_twisted.messaging.memory_store import MemoryStore


def session(name: str, right: str = "view", since: float | None = None, started: float = 1.0) -> SessionInfo:
    return SessionInfo(
        id=name, console_type="novnc", proxy="p", phase="live", started_at=started, right=right, control_since=since
    )


def settled(grants: dict[str, str], *barred: str, **rights: str) -> tuple[str, dict[str, str]]:
    """Return the names of the sessions that have control, and the grants that count."""
    found = settle([session(name, right) for name, right in rights.items()], grants, barred)
    return "".join(sorted(name for name, mode in found.modes.items() if mode == "control")), dict(found.grants)


C, V = "control", "view"


class GivenBack(SynchronousTestCase):
    def test_a_session_with_the_name_of_a_token(self) -> None:
        """A grant under the id of a session is not read as that of an ended receiver with this token hash."""
        policy: Any = None
        grants = Grants(MemoryStore(Clock()), policy)
        receiver = replace(session("t"), token_hash="x")
        watcher = replace(session("w"), token_hash="t")
        self.successResultOf(Deferred.fromCoroutine(grants.add(receiver, "a", [])))
        found = Deferred.fromCoroutine(grants.give_back([watcher], {"a": C, "w": V}))
        self.assertEqual(self.successResultOf(found), {})


class Settle(SynchronousTestCase):
    def test_rights(self) -> None:
        self.assertEqual(settled({}, a=C, b=V, c=C), ("ac", {}))

    def test_handed_over(self) -> None:
        self.assertEqual(settled({"b": "a"}, a=C, b=V), ("b", {"b": "a"}))
        # The receiver has control anyway; the giver only watches.
        self.assertEqual(settled({"b": "a"}, a=C, b=C), ("b", {"b": "a"}))

    def test_a_chain(self) -> None:
        grants = {"b": "a", "c": "b"}
        self.assertEqual(settled(grants, a=C, b=V, c=V), ("c", grants))
        # If a grant of the chain does not count, the grants after it do not count either.
        self.assertEqual(settled(grants, b=V, c=V), ("", {}))
        self.assertEqual(settled({"c": "b"}, a=C, b=V, c=V), ("a", {}))
        self.assertEqual(settled(grants, a=C, c=V), ("a", {}))

    def test_one_who_left(self) -> None:
        self.assertEqual(settled({"b": "a"}, b=V), ("", {}))
        self.assertEqual(settled({"b": "a"}, a=C), ("a", {}))

    def test_one_without_control_gives_nothing(self) -> None:
        self.assertEqual(settled({"b": "a"}, a=V, b=V, c=C), ("c", {}))

    def test_barred(self) -> None:
        self.assertEqual(settled({"b": "a"}, "b", a=C, b=V), ("a", {}))
        self.assertEqual(settled({"b": "a", "c": "b"}, "b", a=C, b=V, c=V), ("a", {}))

    def test_circles(self) -> None:
        self.assertEqual(settled({"a": "b", "b": "a"}, a=V, b=V), ("", {}))
        self.assertEqual(settled({"a": "b", "b": "a"}, a=C, b=V), ("b", {"b": "a"}))
        self.assertEqual(settled({"a": "a"}, a=C), ("a", {}))
        # Grants of the circle to sessions with the right ``control`` do not count.
        self.assertEqual(settled({"a": "b", "b": "a"}, a=C, b=C), ("ab", {}))
        self.assertEqual(settled({"a": "b", "b": "c", "c": "a"}, a=C, b=C, c=C), ("abc", {}))
        self.assertEqual(settled({"a": "c", "b": "a", "c": "b"}, a=C, b=V, c=C), ("bc", {"b": "a"}))
        self.assertEqual(settled({"a": "b", "b": "a", "c": "a"}, a=C, b=C, c=V), ("bc", {"c": "a"}))

    def test_the_first_resizes(self) -> None:
        sessions = [session("a", C, 5.0), session("b", C, 3.0), session("c", V), session("d", C, None, 1.0)]
        self.assertEqual(settle(sessions, {}).resizes, "b")
        self.assertEqual(settle(sessions, {"c": "b"}).resizes, "a")
        self.assertIsNone(settle([session("c")], {}).resizes)

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rights=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from((C, V))),
        grants=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef")),
        barred=st.sets(st.sampled_from("abcdef")),
    )
    def test_always(self, rights: Any, grants: Any, barred: Any) -> None:
        found = settle([session(name, right) for name, right in rights.items()], grants, barred)
        controlling = {name for name, mode in found.modes.items() if mode == C}
        self.assertEqual(bool(controlling), C in rights.values())
        for name in controlling:
            self.assertTrue(rights[name] == C or (name in found.grants and name not in barred))
        # A session with the right ``control`` has control, unless it is the giver of a grant that counts.
        for name, right in rights.items():
            if right == C and name not in found.grants.values():
                self.assertIn(name, controlling)
        # Dropping the grants that do not count changes no mode.
        self.assertEqual(
            settle([session(name, right) for name, right in rights.items()], found.grants, barred).modes, found.modes
        )
