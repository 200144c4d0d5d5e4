"""Calls on the bus that list, change and end the sessions of a worker."""

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY, SESSIONS_BINARY
from novnc_twisted.errors import Refusal, Revoked, ServiceUnavailable
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.session.manager import MAX_PAGE, SessionManager

SERVER = "11111111-2222-4333-8444-555555555555"
HASH = "a" * 64
LINK = link_id(HASH)


class FakeSession:
    """A session that records why it was ended."""

    def __init__(self, id_: str, **fields: str) -> None:
        self.id = id_
        self.fields = fields
        self.cause: Refusal | None = None

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, **self.fields}

    def end(self, cause: Refusal) -> None:
        self.cause = cause

    def change_mode(self, mode: str) -> None:
        self.fields["mode"] = mode

    def show_people(self, listed: Any) -> bool:
        self.listed = listed
        return bool(listed.asked)


class FakeRegistry:
    """Sessions in a list; `find` yields the newest first."""

    token_hash = HASH

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.asked: list[SessionFilter] = []
        self.ended_later: list[tuple[SessionFilter, str]] = []

    def unchecked(self) -> list[Any]:
        """One session whose token is being checked: this object."""
        return [self]

    def end_if(self, wanted: SessionFilter, cause: Refusal) -> None:
        self.ended_later.append((wanted, str(cause)))

    def find(self, wanted: SessionFilter) -> Iterable[FakeSession]:
        self.asked.append(wanted)
        return (one for one in reversed(self.sessions) if wanted.user_id in (None, one.fields.get("user_id")))


class SessionManagerTests(SynchronousTestCase):
    """Two workers of one host on an in-memory bus."""

    def setUp(self) -> None:
        self.bus = MemoryTransport(Clock())
        self.bus.start()
        self.registry, self.other = FakeRegistry(), FakeRegistry()
        self.managers = [SessionManager(self.bus, registry, host="h") for registry in (self.registry, self.other)]
        for manager in self.managers:
            self.successResultOf(self.deferred(manager.start()))

    def deferred(self, coroutine: Any) -> Any:
        return Deferred.fromCoroutine(coroutine)

    def call(self, method: str, **arguments: Any) -> Any:
        """The first worker's answer."""
        return self.successResultOf(self.bus.call(self.managers[0].topic, method, **arguments))

    def refused(self, method: str, **arguments: Any) -> str:
        """The detail of the first worker's refusal."""
        failure = self.failureResultOf(self.bus.call(self.managers[0].topic, method, **arguments), ServiceUnavailable)
        return str(failure.value.detail)

    def test_each_worker_has_a_topic_of_its_own(self) -> None:
        services = self.successResultOf(self.bus.services(PROXY.prefix))
        self.assertEqual(len({service.topic for service in services}), 2)
        for service in services:
            self.assertRegex(service.topic, r"^proxy\.h\.[0-9a-f]{12}$")
            self.assertEqual((service.binary, service.host), (SESSIONS_BINARY, "h"))

    def test_stopped(self) -> None:
        for manager in self.managers * 2:
            self.successResultOf(self.deferred(manager.stop()))
        self.assertEqual(self.successResultOf(self.bus.services()), [])

    def test_pages(self) -> None:
        self.registry.sessions = [FakeSession(f"{number:02}") for number in range(5)]
        first = self.call("get_sessions", limit=2)
        self.assertEqual(first, {"sessions": [{"id": "00"}, {"id": "01"}], "more": True})
        self.assertEqual(self.call("get_sessions", limit=3, marker="01")["more"], False)
        self.assertEqual(self.call("get_sessions", marker="04"), {"sessions": [], "more": False})
        self.assertEqual(len(self.call("get_sessions")["sessions"]), 5)

    def test_a_page_that_is_too_long_for_one_message_ends_early(self) -> None:
        self.registry.sessions = [FakeSession(f"{number}", server_name="ü" * 90_000) for number in range(9)]
        first = self.call("get_sessions")
        self.assertEqual(([one["id"] for one in first["sessions"]], first["more"]), (["0", "1", "2", "3", "4"], True))
        second = self.call("get_sessions", marker="4")
        self.assertEqual((len(second["sessions"]), second["more"]), (4, False))

    def test_filters(self) -> None:
        self.call("get_sessions")
        self.call(
            "get_sessions", session_id="s", server_id=SERVER.upper(), user_id="u", project_id="p", token_hash=HASH
        )
        self.assertEqual(
            self.registry.asked,
            [
                SessionFilter(),
                SessionFilter(session_id="s", server_id=SERVER, user_id="u", project_id="p", token_hash=HASH),
            ],
        )

    def test_invalid_arguments(self) -> None:
        for arguments, word in (
            ({"limit": 0}, "limit"),
            ({"limit": MAX_PAGE + 1}, "limit"),
            ({"limit": True}, "limit"),
            ({"limit": "2"}, "limit"),
            ({"marker": 7}, "marker"),
            *(({"marker": value}, "marker") for value in (0, None, False, [], {}, "\0")),
            ({"server_id": "x"}, "server_id"),
            ({"token_hash": "x"}, "token_hash"),
            ({"user_id": ""}, "user_id"),
            ({"project_id": 7}, "project_id"),
            ({"session_id": "x" * 256}, "session_id"),
            ({"colour": "red"}, "unknown field: colour"),
        ):
            self.assertIn(word, self.refused("get_sessions", **arguments))
        self.assertIn("a session filter", self.refused("end_sessions"))
        self.assertIn("a session filter", self.refused("end_sessions", reason="why"))
        self.assertIn("a session filter", self.refused("end_sessions", made_until=1.0))
        self.assertIn("a session filter", self.refused("set_mode", mode="view"))
        self.assertIn("mode", self.refused("set_mode", mode="all", user_id="u"))
        self.assertIn("reason", self.refused("end_sessions", user_id="u", reason="a\nb"))
        self.assertEqual(self.registry.asked, [])

    def test_a_broadcast_ends_sessions_on_all_workers(self) -> None:
        mine, theirs = FakeSession("1", user_id="u"), FakeSession("2", user_id="u")
        spared = FakeSession("3", user_id="v")
        self.registry.sessions, self.other.sessions = [mine, spared], [theirs]
        answers = self.successResultOf(self.bus.broadcast(PROXY.prefix, "end_sessions", user_id="u", reason="leaver"))
        self.assertEqual([one.result for one in answers], [{"ended": 1}, {"ended": 1}])
        for session in (mine, theirs):
            assert isinstance(session.cause, Revoked)
            self.assertEqual((session.cause.close_code, session.cause.detail), (4410, "leaver"))
        self.assertIsNone(spared.cause)

    def test_rights_are_changed(self) -> None:
        self.registry.sessions = [FakeSession("1", user_id="u"), FakeSession("2", user_id="v")]
        self.assertEqual(self.call("set_mode", mode="view", user_id="u"), {"changed": 1})
        self.assertEqual([one.fields.get("mode") for one in self.registry.sessions], ["view", None])

    def test_counts(self) -> None:
        """The fields of a filter are counted separately."""
        self.registry.sessions = [FakeSession("1", user_id="u"), FakeSession("2", user_id="v")]
        self.assertEqual(self.call("count_sessions", user_id="u", project_id="p"), {"user_id": 1, "project_id": 2})
        self.assertIn("unknown field: users", self.refused("count_sessions", users="u"))

    def test_counts_of_what_waits_for_an_answer(self) -> None:
        for checking, expected in (([LINK, "b" * 32], {LINK: 1}), (["b" * 32], {})):
            answer = self.call("count_sessions", user_id="u", checking=checking)
            self.assertEqual(answer, {"user_id": 0, "checking": expected})
        for wrong in ("x", {"x": 1}, [""], [[LINK]]):
            self.assertIn("checking", self.refused("count_sessions", user_id="u", checking=wrong))

    def test_a_token_that_is_being_checked(self) -> None:
        """Its session may be ended later, since the answer may be older than the revocation."""
        self.assertEqual(self.call("end_sessions", user_id="u", reason="why"), {"ended": 0})
        self.assertEqual(self.registry.ended_later, [(SessionFilter(user_id="u"), "Revoked: why")])

    def test_who_is_there(self) -> None:
        session = FakeSession("a", user_id="u")
        self.registry.sessions.append(session)
        person = {"id": "a", "mode": "view"}
        arguments = {"server_id": SERVER, "at": 1.5, "people": [person], "asked": "b"}
        self.assertEqual(self.call("show_people", **arguments), {"shown": 1, "asked": 1})
        self.assertEqual((session.listed.at, session.listed.people[0].mode), (1.5, "view"))
        for wrong in ({"people": [{}]}, {"people": 1}, {"people": [person] * 33}, {"at": "x"}, {"server_id": "x"}):
            self.refused("show_people", **{**arguments, **wrong})
