"""Reports of ended sessions: collected, in order, limited in number, sent again after an outage and at the shutdown."""

import gc
from dataclasses import replace
from typing import Any
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.contract import EndedSession, SessionInfo
from novnc_twisted.errors import Revoked
from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.session import closed_reports
from novnc_twisted.session.closed_reports import ClosedReports
from tests.session.harness import FrontCase, introduce
from tests.support.logged import Logged

SESSION = SessionInfo(id="1", console_type="novnc", client_address="192.0.2.7", proxy="p", phase="live", started_at=1.0)


def ended(number: int) -> EndedSession:
    return EndedSession(session=SESSION.copy(id=str(number)), ended_at=2.0, cause="ClientLeft")


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport(self.clock)
        self.transport.start()
        self.reports = ClosedReports(self.transport, self.clock)
        self.calls: list[list[int]] = []
        self.hangs = False

    def serve(self) -> Any:
        async def report_closed(sessions: Any) -> Any:
            if self.hangs:
                await Deferred()
            self.calls.append([int(each["session"]["id"]) for each in sessions])
            return {}

        methods = {"report_closed": report_closed}
        return self.successResultOf(self.transport.serve("consoleauth", methods, binary="nova-consoleauth", host="c"))

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.reports.add(ended(number))

    def test_many_are_one_call(self) -> None:
        self.serve()
        self.add(1, 2)
        self.assertEqual(self.calls, [])
        self.clock.advance(1)
        self.add(3)
        self.clock.advance(1)
        self.assertEqual(self.calls, [[1, 2], [3]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_consoleauth_knows_is_left_out(self) -> None:
        reported: list[Any] = []

        async def report_closed(sessions: Any) -> Any:
            reported.extend(sessions)

        self.transport.serve("consoleauth", {"report_closed": report_closed}, binary="nova-consoleauth", host="c")
        known = SESSION.copy(server_id=str(uuid4()))
        session = known.copy(server_name="n", user_id="u", project_id="p", owners=("p", "q"))
        self.reports.add(EndedSession(session=session, ended_at=2.0, cause="ClientLeft"))
        self.clock.advance(1)
        self.assertEqual(reported, [EndedSession(session=known, ended_at=2.0, cause="ClientLeft").to_wire()])

    def test_a_call_has_a_limit(self) -> None:
        self.serve()
        self.add(*range(250))
        self.clock.advance(1)
        self.assertEqual([len(call) for call in self.calls], [100, 100, 50])
        self.assertEqual([number for call in self.calls for number in call], list(range(250)))

    def test_long_rows(self) -> None:
        """A call fits into one message of the bus, however long the texts of its sessions are."""
        self.serve()
        text = "\U0001f5a5" * 1024
        info = replace(ended(1).session, server_name=text, user_id=text, project_id=text, owners=(text, text))
        for number in range(100):
            self.reports.add(replace(ended(1), session=replace(info, id=str(number)), detail=text * 3))
        self.clock.advance(1)
        self.assertEqual([number for call in self.calls for number in call], list(range(100)))
        self.assertGreater(len(self.calls), 1)

    def test_what_can_not_be_sent(self) -> None:
        """In each outage, the error is logged once, and the queue has a limit."""
        self.patch(closed_reports, "MAX_WAITING", 3)
        self.serve()
        for _ in range(2):
            self.patch(self.transport, "call", lambda *_, **__: fail(ValueError("planted")))
            self.add(0)
            self.clock.pump([1, 5, 5])
            self.assertEqual([str(each.value) for each in self.flushLoggedErrors(ValueError)], ["planted"])
            self.add(*range(1, 5))
            del self.transport.call
            self.clock.advance(5)
        self.assertEqual(self.calls, [[2, 3, 4]] * 2)

    def test_what_can_not_be_sent_at_the_end(self) -> None:
        """The error is logged, and does not fail the shutdown."""
        logged = Logged(self)
        self.patch(self.transport, "call", lambda *_, **__: fail(ValueError("planted")))
        self.add(1)
        self.successResultOf(Deferred.fromCoroutine(self.reports.stop()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(logged.lines("did not answer for too long: 1")), 1)

    def test_an_error_after_the_answer(self) -> None:
        """It is logged, and the other reports are sent."""

        def done(session_id: str) -> None:
            if session_id == "1":
                raise ValueError("planted")

        self.reports = ClosedReports(self.transport, self.clock, done)
        self.serve()
        self.add(1, 2)
        self.clock.pump([1, 5])
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.calls, [[1, 2], [2]])

    def test_after_an_outage(self) -> None:
        self.add(1)
        self.clock.advance(1)
        self.add(2)
        self.serve()
        self.clock.advance(5)
        self.assertEqual(self.calls, [[1, 2]])

    def test_no_answer(self) -> None:
        self.serve()
        self.hangs = True
        self.add(1)
        self.clock.pump([1, 5])
        self.hangs = False
        self.clock.advance(5)
        self.assertEqual(self.calls, [[1]])

    def test_a_long_outage(self) -> None:
        """The oldest reports are dropped, and one line says so when consoleauth is back."""
        logged = Logged(self)
        self.patch(closed_reports, "MAX_WAITING", 3)
        self.add(0)
        self.clock.advance(1)
        self.add(*range(1, 5))
        self.serve()
        self.clock.advance(5)
        self.assertEqual(self.calls, [[2, 3, 4]])
        self.assertEqual(len(logged.lines("missing from the history, because consoleauth did not")), 1)

    def test_the_last_ones(self) -> None:
        self.serve()
        self.add(1)
        self.successResultOf(Deferred.fromCoroutine(self.reports.stop()))
        self.assertEqual(self.calls, [[1]])
        self.add(2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_last_ones(self) -> None:
        """A proxy that is stopped may have more reports than fit into one call."""
        self.serve()
        self.add(*range(250))
        self.successResultOf(Deferred.fromCoroutine(self.reports.stop()))
        self.assertEqual([len(call) for call in self.calls], [100, 100, 50])

    def test_no_answer_at_the_end(self) -> None:
        """One line has the number of lost reports, also if the stop is cancelled."""
        self.serve()
        self.hangs = True
        for end in (lambda stopped: self.clock.advance(1), lambda stopped: stopped.cancel()):
            logged = Logged(self)
            self.reports = ClosedReports(self.transport, self.clock)
            self.add(1, 2)
            stopped = Deferred.fromCoroutine(self.reports.stop())
            end(stopped)
            stopped.addErrback(lambda why: why.trap(CancelledError))
            self.successResultOf(stopped)
            self.assertEqual(len(logged.lines("consoleauth did not answer for too long: 2")), 1)

    def test_what_is_left_to_the_supervisor(self) -> None:
        """``on_done`` is called for confirmed and dropped reports; other reports are not logged."""
        done: list[str] = []
        self.patch(closed_reports, "MAX_WAITING", 3)
        self.reports = ClosedReports(self.transport, self.clock, done.append)
        self.add(0)
        self.clock.advance(1)
        self.add(*range(1, 4))
        self.assertEqual(done, ["0"])
        self.serve()
        self.clock.advance(5)
        self.assertEqual(done, ["0", "1", "2", "3"])
        self.hangs = True
        self.add(4)
        logged = Logged(self)
        stopped = Deferred.fromCoroutine(self.reports.stop())
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual((len(done), logged.lines("did not answer")), (4, []))

    def test_many_at_once(self) -> None:
        """More reports than the limit are all sent: the limit is for an outage only."""
        logged = Logged(self)
        self.patch(closed_reports, "MAX_WAITING", 3)
        self.serve()
        self.add(*range(5))
        self.clock.advance(1)
        self.assertEqual((self.calls, logged.lines("did not answer")), ([[0, 1, 2, 3, 4]], []))

    def test_what_was_dropped_before_the_end(self) -> None:
        """The supervisor does not know these sessions any more, so the number is logged here."""
        logged = Logged(self)
        self.patch(closed_reports, "MAX_WAITING", 3)
        self.reports = ClosedReports(self.transport, self.clock, lambda session_id: None)
        self.add(0)
        self.clock.advance(1)
        self.add(*range(1, 5))
        self.successResultOf(Deferred.fromCoroutine(self.reports.stop()))
        self.assertEqual(len(logged.lines("consoleauth did not answer for too long: 2")), 1)

    def test_the_end_waits_a_second(self) -> None:
        self.serve()
        self.hangs = True
        self.add(1)
        self.clock.advance(1)
        stopped = Deferred.fromCoroutine(self.reports.stop())
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Live(FrontCase):
    async def test_a_session_is_reported(self) -> None:
        """A session whose token was not valid is not reported."""
        reported: list[EndedSession] = []
        self.info = {"admission": "0a" * 16}
        self.novnc()
        self.front.registry.on_closed = reported.append
        for path in ("/?token=wrong", None):
            viewer = await (self.websocket(path) if path else self.websocket())
            if path is None:
                await introduce(viewer)
                await self.server.live.get()
                (session,) = self.front.registry
                session.end(Revoked("why"))
                await viewer.until_closed()
            else:
                viewer.raw.transport.abortConnection()
            await self.all_over()
        (row,) = reported
        self.assertEqual((row.cause, row.detail, row.session.phase), ("Revoked", "why", "live"))
        self.assertEqual((row.session.id, row.session.user_id), (session.id, "alice"))
        self.assertEqual(row.session.admission, "0a" * 16)
        self.assertGreaterEqual(row.ended_at, row.session.started_at)
