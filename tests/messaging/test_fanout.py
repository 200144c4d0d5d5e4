"""Several calls at once."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather


class GatherTests(SynchronousTestCase):
    """The order, the refusals, and who is not waited for."""

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

    def test_what_is_no_refusal(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls[:1]))
        self.calls[0].errback(KeyError("x"))
        (answer,) = self.successResultOf(result)
        self.assertIsInstance(answer, Refusal)

    def test_cancelling_it_cancels_them(self) -> None:
        result = Deferred.fromCoroutine(gather(self.calls))
        result.addErrback(lambda failure: None)
        result.cancel()
        self.assertEqual(self.cancelled, [0, 1, 2])
