"""Sessions that end with their process stand in the history, also if consoleauth is in the same process."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.messaging.memory import MemoryTransport
from novnc_twisted.service.ended_sessions import report_ended
from novnc_twisted.service.shutdown import Phase
from tests.service.test_lifecycle import ShutdownCase
from tests.session.test_closed_reports import ended


class LastReportsTests(ShutdownCase):
    def setUp(self) -> None:
        super().setUp()
        self.reported: list[Any] = []
        self.last: Deferred[None] = Deferred()
        self.registry: Any = SimpleNamespace(none_left=lambda: self.last)
        transport = MemoryTransport(self.clock)
        transport.start()

        async def report_closed(sessions: Any) -> Any:
            self.reported += [each["session"]["id"] for each in sessions]
            return {}

        methods = {"report_closed": report_closed}
        serving = transport.serve("consoleauth", methods, binary="nova-consoleauth", host="control")
        self.stopping = self.shutdown()
        self.stop_consoleauth = self.successResultOf(serving)
        context: Any = SimpleNamespace(transport=transport, reactor=self.clock, shutdown=self.stopping, table=None)
        report_ended(context, self.registry, history=True)

    def test_sessions_that_end(self) -> None:
        # As in ``twistd console``: all services of a process stop in the same phase.
        self.stopping.add(Phase.STOP_SERVICES, self.stop_consoleauth)
        over = self.run_it(self.stopping)
        self.registry.on_closed(ended(1))
        self.clock.advance(1.5)
        self.registry.on_closed(ended(2))
        self.last.callback(None)
        self.successResultOf(over)
        self.assertEqual(self.reported, ["1", "2"])
        self.assertEqual(self.logged.lines("missing in the history"), [])

    def test_a_session_that_does_not_end(self) -> None:
        """The others are reported when the time of the sessions is over, to a consoleauth in another process."""
        over = self.run_it(self.stopping)
        self.clock.advance(3)
        self.registry.on_closed(ended(1))
        self.clock.advance(0.5)
        self.assertEqual(self.reported, ["1"])
        self.clock.pump([0.5, 0.5])
        self.successResultOf(over)
        self.assertEqual(self.reported, ["1"])
