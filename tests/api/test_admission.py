"""Admission: under overload, admitted requests are still answered in time."""

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.api.admission import ALWAYS_ADMITTED, ASSUMED_RATE, DEADLINE, MAX_WAIT, Admission
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, FakeReactor, instance, running, uuid_of
from tests.support.logged import Logged


class Services:
    """Services that answer a number of requests a second, the oldest first."""

    def __init__(self, rate: float) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.admission = Admission(self.clock)
        self.rate = rate
        self.waiting: deque[float] = deque()
        self.latencies: list[float] = []
        self.waits: list[int] = []
        self._due = 0.0

    def ask(self) -> None:
        wait = self.admission.admit()
        if wait:
            self.waits.append(wait)
        else:
            self.waiting.append(self.clock.seconds())

    def pass_(self, seconds: float, load: float) -> None:
        """Advance the clock by ``seconds``, with ``load`` requests a second."""
        step, coming = 0.001, 0.0
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            coming += load * step
            while coming >= 1:
                coming -= 1
                self.ask()
            self._due = self._due + self.rate * step if self.waiting else 0.0
            while self.waiting and self._due >= 1:
                self._due -= 1
                self.latencies.append(self.clock.seconds() - self.waiting.popleft())
                self.admission.leave(answered=True)


class AdmissionTests(SynchronousTestCase):
    def test_two_hundred_a_second(self) -> None:
        """For 10 s, with services of any speed: admitted requests are answered in time, and the services stay busy."""
        for rate in (20.0, 45.0, 66.0, 150.0):
            services = Services(rate)
            services.pass_(10, 200)
            answered = len(services.latencies)
            self.assertGreater(answered, 0.97 * 10 * rate, f"throughput at {rate}/s")
            services.pass_(10, 0)
            self.assertEqual((len(services.waiting), services.admission.in_work), (0, 0))
            self.assertLess(max(services.latencies), 5.0, f"at {rate}/s")
            self.assertEqual(len(services.waits) + len(services.latencies), 2000)
            self.assertTrue(all(1 <= wait <= 10 for wait in services.waits))

    def test_a_rate_that_the_services_can_answer_is_admitted(self) -> None:
        for rate, load in ((66.0, 60.0), (500.0, 400.0), (20.0, 15.0)):
            services = Services(rate)
            services.pass_(20, load)
            self.assertEqual(services.waits, [])

    def test_a_pause_of_the_machine(self) -> None:
        """After a pause of the process, as many requests as before are admitted."""
        services = Services(66)
        services.pass_(5, 60)
        services.pass_(0.2, 200)
        services.clock.advance(3)
        services.pass_(5, 60)
        self.assertEqual(services.waits, [])

    def test_a_burst(self) -> None:
        """As many requests are admitted as can be answered in time, even after hours without a request."""
        services = Services(100)
        services.pass_(10, 95)
        services.pass_(5, 200)
        services.pass_(5, 0)
        services.clock.advance(7200)
        services.waits.clear()
        for _ in range(400):
            services.ask()
        self.assertIn(services.admission.in_work, range(270, 331))
        self.assertEqual(len(services.waits), 400 - services.admission.in_work)

    def test_services_that_answer_nothing(self) -> None:
        """A few requests are still admitted; some seconds after the services answer again, all are."""
        services = Services(66)
        services.pass_(3, 60)
        services.rate = 0
        services.pass_(20, 60)
        self.assertLessEqual(services.admission.rate, 1)
        self.assertEqual(services.waits[-1], MAX_WAIT)
        while services.waiting:  # their calls end without an answer
            services.waiting.popleft()
            services.admission.leave(answered=False)
        admitted = ALWAYS_ADMITTED
        for _ in range(100):
            services.ask()
        self.assertEqual(len(services.waiting), admitted)
        services.rate = 66
        services.pass_(10, 60)
        services.waits.clear()
        services.pass_(10, 60)
        self.assertEqual(services.waits, [])

    def test_the_first_requests(self) -> None:
        services = Services(1)
        for _ in range(1000):
            services.ask()
        self.assertEqual(services.admission.in_work, DEADLINE * ASSUMED_RATE)


class StuckHost(FakeHost):
    """Answers ``get_instance`` only after :meth:`release`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stuck: list[Deferred[None]] | None = []

    async def get_instance(self, instance_uuid: str) -> Any:
        if self.stuck is not None:
            waiting: Deferred[None] = Deferred()
            self.stuck.append(waiting)
            await waiting
        return await super().get_instance(instance_uuid)

    def release(self) -> None:
        """Answer the waiting calls, and later ones at once."""
        stuck, self.stuck = self.stuck or [], None
        for waiting in stuck:
            waiting.callback(None)


class OverloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.host = StuckHost("host1", instance("one"))
        self.system = running(self, NoAuth(), self.host, reactor=self.reactor)
        self.addCleanup(self.host.release)
        self.log = Logged(self)
        self.path = f"/v2.1/servers/{uuid_of('one')}"
        self.most = int(DEADLINE * ASSUMED_RATE)

    def test_refused_at_once(self) -> None:
        connections = [self.system.send("GET", self.path) for _ in range(self.most + 50)]
        answers = [answer for connection in connections for answer in connection.answers()]
        self.assertEqual([answer.status for answer in answers], [429] * 50)
        answer = answers[0]
        self.assertEqual(answer["retry-after"], "3")
        message = "Too many requests are being processed. Try again in 3 s."
        self.assertEqual(answer.body, {"overLimit": {"code": 429, "message": message, "retryAfter": "3"}})
        self.assertEqual(answer["openstack-api-version"], "compute 2.1")
        self.host.release()
        answers = [answer for connection in connections[: self.most] for answer in connection.answers()]
        self.assertEqual([answer.status for answer in answers], [200] * self.most)

    def test_logged_once_and_once_when_it_is_over(self) -> None:
        for _ in range(self.most + 50):
            self.system.send("GET", self.path)
        self.assertEqual(len(self.log.lines("Requests are refused with 429: more requests come")), 1)
        self.host.release()
        self.assertEqual(self.log.lines("Requests are answered again"), [])
        self.reactor.advance(10)
        self.system.get(self.path)
        over = "Requests are answered again after an outage: more requests come than can be answered within 3 s"
        (line,) = self.log.lines(over)
        self.assertIn("refused requests: 50", line)

    def test_requests_without_services_are_answered(self) -> None:
        for _ in range(self.most):
            self.system.send("GET", self.path)
        self.assertEqual(self.system.get(self.path).status, 429)
        for path, status in (("/", 200), ("/v2.1", 200), ("/identity/v3", 200), ("/v2.1/x/y/z", 404)):
            self.assertEqual(self.system.get(path).status, status)
        connection = self.system.send("GET", "/healthz")
        self.assertTrue(connection.transport.value().endswith(b"ok"))

    def test_clients_that_leave_make_room(self) -> None:
        connections = [self.system.send("GET", self.path) for _ in range(self.most)]
        self.assertEqual(self.system.get(self.path).status, 429)
        for connection in connections:
            connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.host.release()
        self.assertEqual(self.system.get(self.path).status, 200)
