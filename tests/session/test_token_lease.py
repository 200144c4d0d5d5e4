"""The lease of a token: when it is renewed, and what the replies change."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import (
    ConsoleForbidden,
    Refusal,
    Revoked,
    ServiceUnavailable,
)
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.token_lease import TokenLease


class Leases(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[Deferred[Any]] = []
        self.ended: list[Refusal] = []
        self.modes: list[str] = []
        self.services: Any = SimpleNamespace(
            reactor=self.clock, settings=SessionSettings(keep_interval=20, token_deadline=5)
        )
        self.viewer: Any = SimpleNamespace(token="t", address="a")

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, after: float = 0) -> TokenLease:
        async def keep(token: str, address: str) -> Any:
            self.assertEqual((token, address), ("t", "a"))
            self.calls.append(Deferred())
            return await self.calls[-1]

        lease = TokenLease(self, keep)
        lease.start(after)
        return lease

    def end(self, cause: Refusal) -> None:
        self.ended.append(cause)

    def change_mode(self, mode: str) -> None:
        self.modes.append(mode)

    def test_not_before_it_is_due(self) -> None:
        lease = self.make(after=510)
        self.clock.advance(509)
        self.assertEqual(self.calls, [])
        self.clock.advance(1)
        self.assertEqual(len(self.calls), 1)
        last = lease.last(1)
        self.assertEqual(len(self.calls), 2)
        self.clock.advance(1)
        self.successResultOf(last)

    def test_never_where_the_session_ends_before(self) -> None:
        self.successResultOf(self.make(after=510).last(1))
        self.assertEqual(self.calls, [])

    def test_at_once_and_regularly(self) -> None:
        lease = self.make()
        for count in (1, 2, 3):
            self.assertEqual(len(self.calls), count)
            self.calls[-1].callback(None)
            self.clock.advance(20)
        lease.stop()
        self.assertTrue(self.calls[-1].called, "the pending one is cancelled")

    def test_no_answer_is_no_reason_to_stop(self) -> None:
        lease = self.make()
        self.clock.advance(5)
        self.clock.advance(20)
        self.assertEqual(len(self.calls), 2)
        lease.stop()

    def test_settings_that_change_meanwhile(self) -> None:
        lease = self.make()
        self.services.settings = SessionSettings(keep_interval=2, token_deadline=1)
        self.calls[0].callback(None)
        self.clock.advance(2)
        self.assertEqual(len(self.calls), 2)
        self.clock.advance(1)
        self.clock.advance(2)
        self.assertEqual(len(self.calls), 3, "the second call had its deadline after 1 s")
        lease.stop()

    def test_what_the_answers_change(self) -> None:
        """The mode is passed on.  A token that may not be used any more ends the session; other refusals do not."""
        for end in Revoked("why"), ConsoleForbidden("given away"):
            self.ended.clear()
            self.modes.clear()
            lease = self.make()
            for answer in ("view", None, ServiceUnavailable(), end):
                self.calls[-1].callback(answer) if not isinstance(answer, Refusal) else self.calls[-1].errback(answer)
                self.clock.advance(20)
            self.assertEqual((self.modes, self.ended), (["view"], [end]))
            lease.stop()

    def test_the_last_one(self) -> None:
        lease = self.make()
        self.calls[0].callback(None)
        last = lease.last(1)
        self.assertEqual(len(self.calls), 2)
        self.assertNoResult(last)
        self.clock.advance(1)
        self.successResultOf(last)

    def test_the_last_one_while_one_is_pending(self) -> None:
        lease = self.make()
        last = lease.last(1)
        self.assertEqual(len(self.calls), 2)
        self.calls[1].callback(None)
        self.successResultOf(last)
