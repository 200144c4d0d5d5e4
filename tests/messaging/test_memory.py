"""The memory transport: the contract of all transports, and its own behaviour."""

import time
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.messaging.wire import MAX_CONCURRENCY
from tests.messaging.call_contract import CallContract
from tests.messaging.store_contract import StoreContract
from tests.messaging.topic_contract import TopicContract


class MemoryContractTests(CallContract, TopicContract, StoreContract, TestCase):
    """The contract, with time on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = self.other = MemoryTransport(self.clock)
        self.successResultOf(self.transport.start())

    async def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def tearDown(self) -> None:
        self.successResultOf(self.transport.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MemoryTests(SynchronousTestCase):
    """Behaviour of this transport only."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport(self.clock)
        self.transport.start()

    def serve(self, **methods: Any) -> Any:
        return self.successResultOf(self.transport.serve("t", methods, binary="b", host="h"))

    def test_services_were_seen_in_unix_time(self) -> None:
        """Clients of the API see ``updated_at`` as a date, so it must not be the time of a ``task.Clock``."""
        self.serve()
        before = time.time()
        (service,) = self.successResultOf(self.transport.services())
        self.assertTrue(before <= service.updated_at <= time.time(), service.updated_at)

    def test_not_started(self) -> None:
        transport = MemoryTransport(self.clock)
        self.failureResultOf(transport.call("t", "m"), ServiceUnavailable)

    def test_cancelling_a_call_cancels_its_work(self) -> None:
        ended: list[str] = []

        async def slow() -> None:
            try:
                await Deferred()
            except CancelledError:
                ended.append("cancelled")
                raise

        self.serve(slow=slow)
        called = self.transport.call("t", "slow")
        called.cancel()
        self.failureResultOf(called, CancelledError)
        self.assertEqual(ended, ["cancelled"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answer_needs_no_time(self) -> None:
        async def answer() -> int:
            return 1

        self.serve(answer=answer)
        self.assertEqual(self.successResultOf(self.transport.call("t", "answer")), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_concurrency_is_bounded(self) -> None:
        gates: list[Deferred[None]] = []

        async def slow() -> None:
            gate: Deferred[None] = Deferred()
            gates.append(gate)
            await gate

        self.serve(slow=slow)
        calls = [self.transport.call("t", "slow") for _ in range(MAX_CONCURRENCY + 2)]
        self.assertEqual(len(gates), MAX_CONCURRENCY)
        gates[0].callback(None)
        self.successResultOf(calls[0])
        self.assertEqual(len(gates), MAX_CONCURRENCY + 1)
        self.clock.advance(5)
        for call in calls[1:]:
            self.failureResultOf(call, ServiceUnavailable)

    def test_method_that_stops_the_transport(self) -> None:
        async def stop() -> None:
            await self.transport.stop()

        self.serve(stop=stop)
        self.failureResultOf(self.transport.call("t", "stop"), ServiceUnavailable)

    def test_values_are_copies(self) -> None:
        value = {"list": [1]}
        store = self.transport.store
        store.put("a", value, 60)
        value["list"].append(2)
        self.successResultOf(store.get("a"))["list"].append(3)
        self.assertEqual(self.successResultOf(store.get("a")), {"list": [1]})

    def test_live_until_exactly_its_ttl(self) -> None:
        store = self.transport.store
        store.put("a", {}, 600)
        self.clock.advance(599.999)
        self.assertEqual(self.successResultOf(store.get("a")), {})
        self.clock.pump([0.001])
        self.clock.rightNow = 600.0
        self.assertIsNone(self.successResultOf(store.get("a")))

    def test_more_expire_than_one_operation_drops(self) -> None:
        for number in range(1000):
            self.transport.store.put(f"key{number}", {}, 10.0, "index")
        self.transport.store.put("last", {}, 20.0, "index")
        self.clock.advance(10.0)
        self.assertEqual(self.successResultOf(self.transport.store.indexed("index")), ["last"])
        self.assertEqual(self.successResultOf(self.transport.store.indexed("index", 1)), [])
        self.assertIsNone(self.successResultOf(self.transport.store.get("key999")))

    def test_does_not_grow(self) -> None:
        store: Any = self.transport.store
        for number in range(5000):
            store.put(f"k{number}", {}, 1, index=f"i{number % 7}")
            store.put("same", {}, 1_000_000, index="same")
            store.remove("same")
            self.clock.advance(0.1)
        self.assertLess(len(store), 20)
        self.assertLess(len(store._expiries), 120)
        self.clock.advance(2)
        self.successResultOf(store.get("any"))
        self.assertEqual((len(store), store._indexes), (0, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_groups_do_not_grow(self) -> None:
        """A group that is used is kept; expired groups are dropped."""
        store: Any = self.transport.store
        for number in range(1000):
            store.join(f"people:{number}", "worker", 10.0)
        for _ in range(5):
            self.assertEqual(self.successResultOf(store.members("people:7", 10.0)), ["worker"])
            self.clock.advance(9)
        store.leave("people:7", "worker")
        for number in range(7, 9):
            self.assertEqual(self.successResultOf(store.members(f"people:{number}", 10.0)), [])
        self.assertEqual(len(store._groups), 1)
        self.clock.advance(9)
        store.join("people:1", "another", 10.0)
        self.assertEqual(len(store._groups), 1)
        self.assertEqual(self.successResultOf(store.members("people:1", 10.0)), ["another"])

    def test_more_groups_expire_than_one_operation_drops(self) -> None:
        store: Any = self.transport.store
        for number in range(1000):
            store.join(f"people:{number}", "old", 10.0)
        self.clock.advance(11)
        self.assertEqual(self.successResultOf(store.members("people:999", 10.0)), [])
        store.join("people:999", "new", 10.0)
        self.assertEqual(self.successResultOf(store.members("people:999", 10.0)), ["new"])
