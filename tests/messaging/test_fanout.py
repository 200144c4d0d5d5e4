"""Several calls at once, and a broadcast to a kind of service."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import MAX_AT_ONCE, broadcast, gather
from novnc_twisted.messaging.interfaces import Answer, Service
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.redis.transport import RedisTransport
from novnc_twisted.messaging.redis_url import RedisURL


class GatherTests(SynchronousTestCase):
    """The order of the answers, refusals, and calls that are not waited for."""

    def setUp(self) -> None:
        self.cancelled: list[int] = []
        self.calls: list[Deferred[int]] = [
            Deferred(lambda _, n=number: self.cancelled.append(n)) for number in range(3)
        ]

    def test_in_their_order(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls))
        refusal = InstanceNotFound("")
        self.calls[2].callback(2)
        self.calls[0].errback(refusal)
        self.assertNoResult(result)
        self.calls[1].callback(1)
        self.assertEqual(self.successResultOf(result), [refusal, 1, 2])
        self.assertEqual(self.cancelled, [])

    def test_none(self) -> None:
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(gather([]))), [])

    def test_enough(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls, enough=lambda answer: answer > 0))
        self.calls[0].callback(0)
        self.assertNoResult(result)
        self.calls[1].callback(1)
        first, second, third = self.successResultOf(result)
        self.assertEqual((first, second), (0, 1))
        self.assertIsInstance(third, ServiceUnavailable)
        self.assertEqual(self.cancelled, [2])

    def test_an_error_that_is_not_a_refusal(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls[:1]))
        self.calls[0].errback(KeyError("x"))
        (answer,) = self.successResultOf(result)
        self.assertIsInstance(answer, Refusal)

    def test_cancelling_it_cancels_them(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls))
        result.addErrback(lambda failure: None)
        result.cancel()
        self.assertEqual(sorted(self.cancelled), [0, 1, 2])

    def test_a_single_call(self) -> None:
        """Other code may cancel it, or it may answer although the wait for it is cancelled."""
        result = Deferred.fromCoroutine(gather(self.calls[:1]))
        self.calls[0].cancel()
        (answer,) = self.successResultOf(result)
        self.assertIsInstance(answer, ServiceUnavailable)
        stubborn: Deferred[int] = Deferred(lambda call: call.callback(1))
        result = Deferred.fromCoroutine(gather([stubborn]))
        result.cancel()
        self.failureResultOf(result, CancelledError)

    def test_a_call_that_ignores_its_cancellation(self) -> None:
        def ignore(call: Deferred[int]) -> None:
            call.addErrback(lambda _: Deferred())

        deaf: Deferred[int] = Deferred(ignore)
        result = Deferred.fromCoroutine(gather([self.calls[0], deaf], enough=lambda _: True))
        self.calls[0].callback(1)
        first, second = self.successResultOf(result)
        self.assertEqual(first, 1)
        self.assertIsInstance(second, ServiceUnavailable)


class BusStub:
    """A bus whose calls the test answers.

    :ivar calls: each call that is under way, by topic.
    :ivar deadlines: of all calls, in their order.
    """

    def __init__(self, *topics: str) -> None:
        self.listed: Deferred[list[Service]] = Deferred()
        self.services_of = [Service(topic, "w", "b", "h", 0.0, {}) for topic in topics]
        self.calls: dict[str, Deferred[Any]] = {}
        self.deadlines: list[float] = []
        self.cancelled: list[str] = []

    def services(self, prefix: str) -> Deferred[list[Service]]:
        self.prefix = prefix
        return self.listed

    def call(self, topic: str, method: str, /, *, deadline: float, **arguments: Any) -> Deferred[Any]:
        self.deadlines.append(deadline)
        self.asked = (method, arguments)
        self.calls[topic] = Deferred(lambda _: self.cancelled.append(topic))
        return self.calls[topic]


class BroadcastTests(SynchronousTestCase):
    """Deadlines, concurrency and failures."""

    def setUp(self) -> None:
        self.clock = Clock()

    def begin(self, bus: BusStub, deadline: float = 5.0, *, listed: bool = True) -> Deferred[list[Answer]]:
        asking = Deferred.fromCoroutine(
            broadcast(bus, self.clock, "proxy.", "m", deadline, {"a": 1})  # type: ignore[arg-type]
        )
        if listed:
            bus.listed.callback(bus.services_of)
        return asking

    def test_each_server_is_called_once(self) -> None:
        bus = BusStub("proxy.a", "proxy.b", "proxy.b")
        asking = self.begin(bus)
        self.assertEqual((bus.prefix, bus.asked, bus.deadlines), ("proxy.", ("m", {"a": 1}), [5.0, 5.0]))
        bus.calls["proxy.b"].callback(2)
        self.assertNoResult(asking)
        refusal = InstanceNotFound("x")
        bus.calls["proxy.a"].errback(refusal)
        first, second = self.successResultOf(asking)
        self.assertEqual((first, second), (Answer(bus.services_of[0], None, refusal), Answer(bus.services_of[1], 2)))

    def test_the_deadline_includes_reading_the_presence_entries(self) -> None:
        bus = BusStub("proxy.a")
        asking = self.begin(bus, listed=False)
        self.clock.advance(2)
        bus.listed.callback(bus.services_of)
        self.assertEqual(bus.deadlines, [3.0])
        bus.calls["proxy.a"].callback(None)
        self.successResultOf(asking)

    def test_without_presence_there_is_no_answer_at_all(self) -> None:
        for bus, seconds in ((BusStub(), 5.0), (BusStub(), 0.0)):
            asking = self.begin(bus, listed=False)
            if seconds:
                self.clock.advance(seconds)
            else:
                bus.listed.errback(ServiceUnavailable("Redis cannot be reached"))
            self.failureResultOf(asking, ServiceUnavailable)

    def test_many_servers_share_the_deadline(self) -> None:
        """Servers that never answer hold their slots for one round only, so that all others are called."""
        topics = [f"proxy.{number:04}" for number in range(2 * MAX_AT_ONCE + 1)]
        bus = BusStub(*topics)
        asking = self.begin(bus, deadline=6)
        self.assertEqual(len(bus.calls), MAX_AT_ONCE)
        for topic in topics:
            bus.calls[topic].errback(ServiceUnavailable("late"))
        self.assertEqual(bus.deadlines, [2.0] * len(topics))
        self.assertEqual(
            [type(one.refusal) for one in self.successResultOf(asking)], [ServiceUnavailable] * len(topics)
        )

    def test_cancelled(self) -> None:
        bus = BusStub(*(f"proxy.{number:04}" for number in range(MAX_AT_ONCE + 3)))
        asking = self.begin(bus)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(len(bus.cancelled), MAX_AT_ONCE)
        self.assertEqual(len(bus.calls), MAX_AT_ONCE)

    def test_a_transport_that_is_not_started(self) -> None:
        for transport in (MemoryTransport(self.clock), RedisTransport(self.clock, RedisURL())):
            self.failureResultOf(transport.broadcast("proxy.", "m"), ServiceUnavailable)

    def test_arguments_without_a_form_in_json(self) -> None:
        for value, kind in ((object(), TypeError), ("x" * 2_000_000, ValueError)):
            self.failureResultOf(MemoryTransport(self.clock).broadcast("proxy.", "m", value=value), kind)
