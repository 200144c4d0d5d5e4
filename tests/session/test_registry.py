"""The registry of sessions: ids, look-ups, descriptions, and the events of a session's life."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import hash_token
from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract import ConnectInfo, SessionInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Refusal, Revoked
from novnc_twisted.events import SessionClosed, SessionOpened
from novnc_twisted.relay import StreamEnd
from novnc_twisted.session import SessionLimits, SessionRegistry, SessionServices, SessionSettings, setup
from novnc_twisted.session import session as session_module
from novnc_twisted.session.session import Session
from novnc_twisted.session.token_index import TokenIndex
from tests.relay.end_case import GONE, Transport
from tests.session.harness import TOKEN, FrontCase, introduce, refused

SERVER = "11111111-2222-4333-8444-555555555555"


def link_of(token: str) -> str:
    return link_id(hash_token(token))


class Viewer:
    """A viewer with an in-memory connection."""

    console_type = "novnc"
    address = "192.0.2.1"
    preface = b""

    def __init__(self, clock: Clock, token: str) -> None:
        self.token = token
        self.end = StreamEnd(clock, "192.0.2.1:4711")
        self.end.makeConnection(Transport())

    def token_checked(self, cause: Refusal | None) -> None: ...

    def refusal(self, cause: Refusal) -> None: ...


class SetUps(SynchronousTestCase):
    """Sessions whose tokens are being checked; only a test gives the answers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: dict[str, Deferred[ConnectInfo]] = {}
        self.events: list[Any] = []
        self.ended: list[Any] = []
        services = SessionServices(
            reactor=self.clock,
            authorise=self.authorise,
            settings=SessionSettings(host="edge1"),
            limits=SessionLimits(),
            observer=self.events.append,
        )
        self.registry = SessionRegistry(services, self.ended.append)

    def authorise(self, token: str, *_: str) -> "Deferred[ConnectInfo]":
        self.asked[token] = Deferred()
        return self.asked[token]

    def begin(self, token: str) -> Session:
        return self.registry.begin(Viewer(self.clock, token), self.clock.seconds())

    def gone(self, session: Session) -> None:
        session.viewer.end.connectionLost(GONE)

    def test_ids(self) -> None:
        """Each session has its own id."""
        first, second = self.begin("one"), self.begin("two")
        self.assertRegex(first.id, "^[0-9a-f]{32}$")
        self.assertNotEqual(first.id, second.id)
        self.assertIs(self.registry.get(first.id), first)
        self.assertIsNone(self.registry.get("other"))
        self.assertEqual((len(self.registry), set(self.registry)), (2, {first, second}))

    def test_filters(self) -> None:
        """Fields that are not known before the token is checked match no session."""
        first, second = self.begin("one"), self.begin("two")
        info = ConnectInfo(host="h", port=1, instance_uuid=SERVER, user_id="alice", project_id="demo")
        first.info = info
        for wanted, found in (
            (SessionFilter(), [first, second]),
            (SessionFilter(session_id=second.id), [second]),
            (SessionFilter(session_id="other"), []),
            (SessionFilter(server_id=SERVER), [first]),
            (SessionFilter(user_id="alice"), [first]),
            (SessionFilter(user_id="bob"), []),
            (SessionFilter(project_id="demo", user_id="alice"), [first]),
            (SessionFilter(project_id="demo", user_id="bob"), []),
            (SessionFilter(owner="demo"), []),
            (SessionFilter(client_network="192.0.2.1"), [first]),
            (SessionFilter(client_network="192.0.2.2"), []),
            (SessionFilter(token_hash=hash_token("two")), [second]),
            (SessionFilter(link_id=link_of("two")), [second]),
            (SessionFilter(link_id=link_of("two"), user_id="alice"), []),
            (SessionFilter(link_id=link_of("three")), []),
            (SessionFilter(session_id=second.id, user_id="alice"), []),
        ):
            self.assertEqual(self.registry.find(wanted), found, wanted)

    def test_no_token_is_hashed_for_other_sessions(self) -> None:
        """A revocation takes the same time with one session and with ten thousand."""
        begun = [self.begin(f"token {number}") for number in range(100)]
        hashed: list[str] = []
        self.patch(session_module, "hash_of_session", lambda token: hashed.append(token) or hash_token(token))
        self.assertEqual(self.registry.find(SessionFilter(link_id=link_of("token 7"))), [begun[7]])
        self.assertEqual(hashed, ["token 7"])

    def test_the_owner_of_the_server(self) -> None:
        """By the id or the name of the server's project, not of the token's."""
        first, second = self.begin("one"), self.begin("two")
        first.info = ConnectInfo(host="h", port=1, project_id="other", owners=("p", "demo"))
        second.info = ConnectInfo(host="h", port=1, project_id="p")
        for owner, found in (("p", [first]), ("demo", [first]), ("other", [])):
            self.assertEqual(self.registry.find(SessionFilter(owner=owner)), found)

    def test_when_the_token_was_made(self) -> None:
        first, second, unchecked = [self.begin(token) for token in ("one", "two", "three")]
        first.info = ConnectInfo(host="h", port=1, made_at=10.0)
        second.info = ConnectInfo(host="h", port=1)
        for time, found in ((9.5, [second, unchecked]), (10.0, [first, second, unchecked])):
            self.assertEqual(self.registry.find(SessionFilter(made_until=time)), found)

    def test_what_is_being_closed_is_not_found(self) -> None:
        """It has ended, and only waits until its connections are closed."""
        first, second = self.begin("one"), self.begin("two")
        first.end(Revoked("why"))
        self.assertEqual(self.registry.find(SessionFilter()), [second])
        self.assertEqual(len(self.registry), 2)

    def test_revoked_while_the_token_is_checked(self) -> None:
        """The session ends if the answer about its token makes it match the revocation."""
        first, second = self.begin("one"), self.begin("two")
        self.assertEqual(self.registry.unchecked(), [first, second])
        for session in self.registry.unchecked():
            session.end_if(SessionFilter(user_id="alice", made_until=2.0), Revoked("why"))
        self.asked["one"].callback(ConnectInfo(host="h", port=1, user_id="alice", made_at=2.0))
        self.assertEqual(self.registry.unchecked(), [second])
        self.gone(first)
        (event,) = self.events
        self.assertEqual((event.cause, event.detail, event.phase), ("Revoked", "why", "token"))

    def test_another_session_is_ended_while_the_token_is_checked(self) -> None:
        """The session id is compared too, and all fields of a filter must match."""
        self.patch(setup, "reach", lambda *_: Deferred())
        first, second = self.begin("one"), self.begin("two")
        for wanted in (SessionFilter(session_id=first.id), SessionFilter(session_id=first.id, user_id="alice")):
            second.end_if(wanted, Revoked("why"))
        self.asked["two"].callback(ConnectInfo(host="h", port=1, user_id="alice"))
        self.assertIsNone(second.cause)
        self.assertEqual(self.registry.find(SessionFilter(user_id="alice")), [second])

    def test_description(self) -> None:
        """The record that travels on the bus, before and after the token was checked."""
        self.clock.advance(100)
        session = self.begin("one")
        self.clock.advance(2)
        before = session.describe()
        self.assertEqual((before.id, before.phase, before.proxy, before.user_id), (session.id, "token", "edge1", None))
        self.assertIsNone(before.last_input_at)
        session.viewer.end.dataReceived(b"RFB 003.008\n")
        self.clock.advance(1)
        session.info = ConnectInfo(host="h", port=1, instance_uuid=SERVER, name="myserver20", compute_host="one")
        described = SessionInfo.from_wire(session.to_wire())
        self.assertEqual(
            (described.server_id, described.server_name, described.compute_host, described.client_address),
            (SERVER, "myserver20", "one", "192.0.2.1"),
        )
        self.assertEqual((described.bytes_in, described.bytes_out, described.mode), (12, 0, "control"))
        assert described.last_input_at is not None
        self.assertAlmostEqual(described.last_input_at - described.started_at, 2, 2)

    def test_an_ended_session_is_forgotten(self) -> None:
        """It is forgotten when its connection is closed.  The first cause counts."""
        self.clock.advance(100)
        session = self.begin("one")
        self.clock.advance(2.5)
        session.end(Revoked("by an administrator"))
        session.end(Revoked("again"))
        self.assertEqual((len(self.registry), self.events), (1, []))
        self.gone(session)
        self.assertEqual((len(self.registry), self.ended), (0, [session.viewer]))
        (event,) = self.events
        self.assertIsInstance(event, SessionClosed)
        self.assertEqual(
            (event.session_id, event.cause, event.detail, event.phase, event.peer),
            (session.id, "Revoked", "by an administrator", "token", "192.0.2.1:4711"),
        )
        self.assertEqual(event.seconds, 2.5)

    def test_stopping(self) -> None:
        """Sessions that begin later end as well."""
        first = self.begin("one")
        stopped = self.registry.stop()
        late = self.begin("two")
        self.gone(first)
        self.assertNoResult(stopped)
        self.gone(late)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual([event.cause for event in self.events], ["Stopping", "Stopping"])

    def test_a_failing_observer(self) -> None:
        """Its exception is logged, and the session is removed as usual."""
        session = self.begin("one")
        session.services = replace(session.services, observer=self.fail_always)
        self.gone(session)
        self.assertEqual(len(self.registry), 0)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def fail_always(self, event: Any) -> None:
        raise KeyError("observer")


class Live(FrontCase):
    """A session through a real front."""

    async def test_a_session_keeps_its_id_and_is_found(self) -> None:
        events: list[Any] = []
        self.novnc(observer=events.append)
        viewer = await self.websocket()
        await introduce(viewer)
        await self.server.live.get()
        (session,) = self.front.registry.find(SessionFilter(token_hash=hash_token(TOKEN)))
        self.assertEqual(session.describe().phase, "live")
        (opened,) = events
        self.assertIsInstance(opened, SessionOpened)
        self.assertEqual((opened.session_id, opened.instance_name), (session.id, "myserver20"))
        self.assertEqual([name for name, _ in opened.phases], ["token", "dial", "login", "offer"])
        self.assertTrue(all(seconds >= 0 for _, seconds in opened.phases))
        self.assertLessEqual(sum(seconds for _, seconds in opened.phases), opened.seconds)
        session.end(Revoked("test"))
        self.assertEqual(await viewer.until_closed(), (4410, Revoked.sentence))
        await self.all_over()
        self.assertEqual([type(event) for event in events], [SessionOpened, SessionClosed])
        self.assertEqual((events[1].session_id, events[1].cause, events[1].phase), (session.id, "Revoked", "live"))
        self.assertEqual(events[1].phases, ())
        self.assertEqual({event.link_id for event in events}, {link_id(hash_token(TOKEN))})

    async def test_the_phases_of_a_refused_session(self) -> None:
        events: list[Any] = []
        self.novnc(observer=events.append)
        self.server.close = "version"
        viewer = await self.websocket()
        await refused(viewer)
        viewer.raw.transport.loseConnection()
        await self.all_over()
        [closed] = events
        self.assertEqual(closed.phase, "login")
        self.assertEqual([name for name, _ in closed.phases], ["token", "dial", "login"])


class Tokens(SynchronousTestCase):
    """The index of sessions by token."""

    def test_sessions_of_one_token(self) -> None:
        index = TokenIndex()
        for token, session_id in (("one", "a"), ("two", "b"), ("two", "c"), ("two", "d")):
            index.add(link_of(token), session_id)
        self.assertEqual(list(index.find(link_of("one"))), ["a"])
        self.assertEqual(sorted(index.find(link_of("two"))), ["b", "c", "d"])
        self.assertEqual(list(index.find(link_of("three"))), [])
        for token, session_id in (("two", "c"), ("two", "b"), ("one", "a")):
            index.remove(link_of(token), session_id)
        self.assertEqual((list(index.find(link_of("two"))), len(index)), (["d"], 1))
        index.remove(link_of("two"), "d")
        self.assertEqual((list(index.find(link_of("two"))), len(index)), ([], 0))
