"""Server-sent events: which client gets which events, when streams end, and a client that does not read."""

import json
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from novnc_twisted.api.console import log_in_check, watch
from novnc_twisted.http.event_stream import COMMENT, HEAD
from tests.api.harness import instance, publish, quick_hash, uuid_of
from tests.api.test_console_api import ALICE, BORIS, RED, ROOT
from tests.api.users import UsersCase, basic
from tests.http.harness import Connection
from tests.session.workers import Worker, worker

RED_VM = {"project_id": "red-id", "project_name": "red"}


class EventsCase(UsersCase):
    def setUp(self) -> None:
        super().setUp()
        self.worker: Worker = self.successResultOf(Deferred.fromCoroutine(worker(self.system.transport, "edge1")))
        self.servers: dict[str, dict[str, Any]] = {}
        self.set("red-vm", **RED_VM)
        self.set("blue-vm", project_id="blue-id", project_name="blue")

    def set(self, name: str, **values: Any) -> None:
        self.servers[name] = instance(name, **values)
        publish(self, self.system, "host1", *self.servers.values())

    def listen(self, who: dict[str, str] = ALICE) -> Connection:
        connection = self.system.send("GET", "/console/v1/events", **who)
        self.look()
        return connection

    def look(self, times: float = 1) -> None:
        self.reactor.pump([0.5] * int(2 * times))

    def heard(self, connection: Connection) -> list[tuple[str, Any]]:
        """Return the events since the last call."""
        data = connection.transport.value()
        connection.transport.clear()
        body = data.partition(b"\r\n\r\n")[2] if data.startswith(b"HTTP/1.1 200 OK") else data
        text = b"".join(piece for piece in body.split(b"\r\n")[1::2]).decode()
        events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in text.split("\n\n") if event]
        return [(event["event"], json.loads(event["data"])) for event in events if "event" in event]


def lose(connection: Connection) -> None:
    """Let the client leave."""
    connection.protocol.connectionLost(Failure(ConnectionDone()))


class EventsTests(EventsCase):
    def test_the_last_stream_of_a_log_in_ends_during_a_check(self) -> None:
        """The check is cancelled, and no error is logged."""
        connection = self.listen()
        check: Deferred[Any] = Deferred()
        self.patch(self.system.site.application._auth, "caller", lambda *_: check)
        self.look(log_in_check.INTERVAL)
        lose(connection)
        self.assertEqual((check.called, self.flushLoggedErrors()), (True, []))

    def test_the_head(self) -> None:
        connection = self.listen()
        data = connection.transport.value()
        self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"text/event-stream", data)
        self.assertIn(b"X-Accel-Buffering: no", data)
        self.assertIn(HEAD, data)
        answer = self.system.ask("HEAD", "/console/v1/events", **ALICE)
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.system.get("/console/v1/events").status, 401)

    def test_each_is_sent_what_it_may_see(self) -> None:
        alice, boris, root = self.listen(ALICE), self.listen(BORIS), self.listen(ROOT)
        for connection in (alice, boris, root):
            self.assertEqual(self.heard(connection), [])
        self.set("red-vm", state="shutoff", **RED_VM)
        self.look()
        row = {"id": uuid_of("red-vm"), "name": "red-vm", "status": "SHUTOFF", "project": "red", "host": None}
        self.assertEqual(self.heard(alice), [("servers", {"changed": [row], "removed": []})])
        self.assertEqual(self.heard(root), [("servers", {"changed": [row | {"host": "host1"}], "removed": []})])
        self.assertEqual(self.heard(boris), [])
        del self.servers["red-vm"]
        self.set("blue-vm", state="paused", project_id="blue-id", project_name="blue")
        self.look()
        self.assertEqual(self.heard(alice), [("servers", {"changed": [], "removed": [uuid_of("red-vm")]})])
        self.assertEqual([name for name, _ in self.heard(boris)], ["servers"])

    def test_sessions(self) -> None:
        alice, boris = self.listen(ALICE), self.listen(BORIS)
        self.worker.add(RED)
        self.look()
        ((name, change),) = self.heard(alice)
        self.assertEqual((name, [one["id"] for one in change["changed"]], change["removed"]), ("sessions", [RED], []))
        self.assertNotIn("bytes_in", change["changed"][0])
        self.assertEqual(self.heard(boris), [])
        self.look()
        self.assertEqual(self.heard(alice), [])

    def test_many_sessions(self) -> None:
        """Several pages are read less often, and sessions after the last page are not reported as ended."""
        self.patch(watch, "PAGE", 2)
        self.patch(watch, "MAX_SESSIONS", 4)
        ids = [f"{number:032x}" for number in range(1, 7)]
        for one in ids[:3]:
            self.worker.add(one)
        root = self.listen(ROOT)
        self.worker.add(ids[3])
        self.assertEqual(self.heard(root), [])
        self.look()
        ((_, change),) = self.heard(root)
        self.assertEqual(([one["id"] for one in change["changed"]], change["removed"]), ([ids[3]], []))
        self.worker.add("0" * 32)  # now ids[3] is the fifth, so it is not read
        self.look(3)
        ((_, change),) = self.heard(root)
        self.assertEqual(([one["id"] for one in change["changed"]], change["removed"]), (["0" * 32], []))
        del self.worker.sessions[ids[0]]
        self.look(3)
        ((_, change),) = self.heard(root)
        self.assertEqual(([one["id"] for one in change["changed"]], change["removed"]), ([ids[3]], [ids[0]]))
        self.assertEqual(set(self.worker.asked), {2})

    def test_a_quiet_stream_gets_comments(self) -> None:
        alice = self.listen()
        alice.transport.clear()
        self.look(watch.QUIET + 1)
        self.assertEqual(alice.transport.value().count(COMMENT), 1)

    def test_a_client_that_does_not_read(self) -> None:
        alice = self.listen()
        self.heard(alice)
        alice.transport.producer.pauseProducing()
        for state in ("shutoff", "running", "paused"):
            self.set("red-vm", state=state, **RED_VM)
            self.look()
        self.assertEqual(self.heard(alice), [])
        alice.transport.producer.resumeProducing()
        self.look()
        self.assertEqual(self.heard(alice), [("reload", {})])

    def test_a_stream_ends_at_its_maximum_age(self) -> None:
        alice = self.listen()
        self.look(int(watch.MAX_AGE))
        self.assertTrue(alice.transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(len(self.watch), 0)

    def test_nothing_is_left(self) -> None:
        connections = [self.listen(who) for who in (ALICE, BORIS, ROOT)]
        self.assertEqual(len(self.watch), 3)
        for connection in connections[:2]:
            lose(connection)
        self.system.site.stopFactory()
        self.assertTrue(connections[2].transport.disconnecting)
        lose(connections[2])
        self.assertEqual(len(self.watch), 0)
        self.look()
        waiting = [str(call) for call in self.reactor.getDelayedCalls() if "watch" in str(call).lower()]
        self.assertEqual(waiting, [])

    def test_too_many(self) -> None:
        self.patch(watch, "MAX_SUBSCRIBERS", 2)
        self.listen()
        self.listen()
        answer = self.system.get("/console/v1/events", **ALICE)
        self.assertEqual((answer.status, answer["retry-after"]), (429, "60"))

    def test_one_user_does_not_take_all(self) -> None:
        self.patch(watch, "MAX_OF_USER", 2)
        first = self.listen()
        self.listen()
        self.assertEqual(self.system.get("/console/v1/events", **ALICE).status, 429)
        self.listen(BORIS)
        lose(first)
        self.listen()
        self.assertEqual(len(self.watch), 3)

    def test_a_user_without_a_project_sees_nothing(self) -> None:
        with self.file.open("a") as file:
            file.write(f"lonely:{quick_hash('x')}\n")
        self.reactor.advance(10)
        lonely = self.listen({"Authorization": basic("lonely", "x")})
        self.heard(lonely)
        self.worker.add(RED)
        self.set("red-vm", state="shutoff", **RED_VM)
        self.look(2)
        self.assertEqual(self.heard(lonely), [])

    def test_one_look_at_a_time(self) -> None:
        """A look that waits for an answer stays the only one, however many streams end and begin."""
        looks: list[Deferred[Any]] = []

        def page(_caller: Any) -> Deferred[Any]:
            looks.append(Deferred())
            return looks[-1]

        self.patch(self.watch, "_inventory", SimpleNamespace(page=page))
        for _ in range(5):
            lose(self.listen())
        self.listen()
        self.assertEqual(len(looks), 1)
        looks[0].callback(([], False))
        for count in (2, 3, 4):
            self.reactor.advance(watch.INTERVAL)
            self.assertEqual(len(looks), count)
            looks[-1].callback(([], False))

    def test_large_events(self) -> None:
        """``reload`` replaces large events, because unread data is kept in memory."""
        alice = self.listen()
        self.heard(alice)
        for number in range(800):
            self.servers[f"vm-{number}"] = instance(f"vm-{number}", **RED_VM)
        self.set("red-vm", **RED_VM)
        self.look()
        self.assertEqual(self.heard(alice), [("reload", {})])

    def test_a_stream_that_begins_while_the_server_stops(self) -> None:
        self.system.site.answers_first_requests = True
        connection = Connection(self.system.site)
        connection.send(b"GET /console/v1/events HTTP/1.1\r\nHost: localhost\r\n")
        self.system.site.stopFactory()
        connection.send(f"Authorization: {ALICE['Authorization']}\r\n\r\n".encode())
        self.assertTrue(connection.transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual((connection.transport.disconnecting, len(self.watch)), (True, 0))

    def test_a_service_does_not_answer(self) -> None:
        alice = self.listen()
        self.heard(alice)
        self.worker.add(RED)
        self.worker.hangs = True
        self.look(3)
        self.assertEqual(self.heard(alice), [])
        self.set("red-vm", state="shutoff", **RED_VM)
        self.look(10)
        self.assertEqual([name for name, _ in self.heard(alice)], ["servers"])
        self.worker.hangs = False
        self.look(10)
        self.assertEqual([name for name, _ in self.heard(alice)], ["sessions"])

    @property
    def watch(self) -> Any:
        for _, _, handler in self.system.site.application.console.router._routes:
            if handler.__name__ == "_subscribe":
                return handler.__self__._watch
        raise AssertionError("no events")
