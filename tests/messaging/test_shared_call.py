"""A costly call that many callers share."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.shared_call import SharedCall


class SharedCallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: list[Deferred[Any]] = []
        self.shared: SharedCall[Any] = SharedCall(self.begin)

    def begin(self) -> Deferred[Any]:
        self.calls.append(Deferred())
        return self.calls[-1]

    def test_a_later_caller_gets_a_later_result(self) -> None:
        first = self.shared()
        later = [self.shared() for _ in range(5)]
        self.assertEqual(len(self.calls), 1)
        self.calls[0].callback("old")
        self.assertEqual(self.successResultOf(first), "old")
        self.assertEqual(len(self.calls), 2)
        for wanted in later:
            self.assertNoResult(wanted)
        self.calls[1].callback("new")
        self.assertEqual([self.successResultOf(wanted) for wanted in later], ["new"] * 5)
        again = self.shared()
        self.assertEqual(len(self.calls), 3)
        self.calls[2].callback("newest")
        self.assertEqual(self.successResultOf(again), "newest")

    def test_a_failure_is_for_all_of_them(self) -> None:
        first, second, third = self.shared(), self.shared(), self.shared()
        self.calls[0].errback(ServiceUnavailable("libvirt is down"))
        self.failureResultOf(first, ServiceUnavailable)
        self.calls[1].errback(ServiceUnavailable("libvirt is down"))
        self.failureResultOf(second, ServiceUnavailable)
        self.failureResultOf(third, ServiceUnavailable)

    def test_a_caller_that_cancels_does_not_affect_others(self) -> None:
        first, second = self.shared(), self.shared()
        first.cancel()
        second.cancel()
        self.failureResultOf(first, CancelledError)
        self.failureResultOf(second, CancelledError)
        third = self.shared()
        self.calls[0].callback("old")
        self.calls[1].callback("new")
        self.assertEqual(self.successResultOf(third), "new")

    def test_one_that_joins_the_running_call(self) -> None:
        self.shared = SharedCall(self.begin, joins=True, cancels=True)
        first, second, third = self.shared(), self.shared(), self.shared()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.calls[0].callback("now")
        self.assertEqual([self.successResultOf(wanted) for wanted in (second, third)], ["now"] * 2)
        fourth = self.shared()
        fourth.cancel()
        self.failureResultOf(fourth, CancelledError)
        self.assertEqual([call.called for call in self.calls], [True, True])

    def test_none_joins_a_call_that_is_being_cancelled(self) -> None:
        ended: Deferred[Any] = Deferred()  # the call ignores the cancellation until this fires
        self.shared = SharedCall(lambda: self.begin().addErrback(lambda _: ended), joins=True, cancels=True)
        self.shared().addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        later = self.shared()
        self.assertEqual(len(self.calls), 1)
        ended.callback("old")
        self.assertNoResult(later)
        self.calls[1].callback("new")
        self.assertEqual(self.successResultOf(later), "new")

    def test_nobody_waits_any_more(self) -> None:
        self.shared().addErrback(lambda failure: failure.trap(CancelledError))
        self.shared().addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        self.calls[0].callback("old")
        self.assertEqual(len(self.calls), 1)
        self.assertNoResult(self.shared())
        self.assertEqual(len(self.calls), 2)

    def test_a_call_that_can_be_cancelled(self) -> None:
        self.shared = SharedCall(self.begin, cancels=True)
        first, second = self.shared(), self.shared()
        self.assertEqual(len(self.calls), 1)
        later = [self.shared() for _ in range(2)]
        second.cancel()
        self.assertNoResult(self.calls[0])
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.failureResultOf(second, CancelledError)
        self.assertEqual(len(self.calls), 2)
        later[0].cancel()
        self.failureResultOf(later[0], CancelledError)
        self.calls[1].callback("new")
        self.assertEqual(self.successResultOf(later[1]), "new")
