"""Which process ends the older processes of earlier take-overs, and waits for them."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.service import lifecycle
from novnc_twisted.service.console_service import ConsoleService
from novnc_twisted.service.context import Gate
from novnc_twisted.service.lifecycle import CommandService
from novnc_twisted.service.sockets import Sockets
from novnc_twisted.service.takeover.predecessors import Predecessors
from novnc_twisted.service.workers import Supervisor
from tests.service.test_lifecycle import ShutdownCase, Stopping


class Older(Predecessors):
    """Older processes that end when the test says so."""

    def __init__(self) -> None:
        super().__init__(None)
        self.signals = 0
        self.over: Deferred[None] = Deferred()

    def end(self) -> None:
        self.signals += 1

    def gone(self) -> Deferred[None]:
        return self.over


class OlderProcessesTests(ShutdownCase):
    """A process that a take-over has started, with or without workers."""

    def services(self, *, leads: bool, released: bool = False) -> list[tuple[CommandService, Older]]:
        reactor, found = Stopping(), []
        for drain in (0, 60):
            shutdown = self.shutdown(drain=drain)
            shutdown.replaced = released
            context: Any = SimpleNamespace(
                reactor=reactor, shutdown=shutdown, limits=[], gate=Gate(), monitor=None, trail=None
            )
            alone = ConsoleService("novncproxy", context, [], [])
            supervisor = Supervisor(reactor, "novncproxy", 0, [], Sockets(), [], drain=drain)
            for service in (alone, supervisor):
                older = service.older = Older()
                service.predecessor = SimpleNamespace()  # type: ignore[assignment]
                service.leads, service.released = leads, released
                found.append((service, older))
            alone.end_with(alone.older)
        return found

    def test_the_main_process(self) -> None:
        for service, older in self.services(leads=True):
            service._signalled()
            self.assertEqual(older.signals, 1)
            stopped = service.stopService()
            self.assertNoResult(stopped)
            older.over.callback(None)
            self.successResultOf(stopped)

    def test_a_failed_start(self) -> None:
        """The predecessor serves, so this process ends without waiting for it."""
        for service, _ in self.services(leads=False):
            self.successResultOf(service.stopService())

    def test_sigterm_during_the_start(self) -> None:
        """The predecessor continues to serve."""
        for service, older in self.services(leads=False):
            service._signalled()
            self.assertEqual(older.signals, 0)

    def test_sigterm_just_before_it_leads(self) -> None:
        """systemd may send the signal after MAINPID, before this process has read the order to lead."""
        for service, older in self.services(leads=False):
            service._signalled()
            service.end = lambda: None  # type: ignore[method-assign]
            self.patch(lifecycle, "listen_for_reload", lambda *_: None)
            service._lead()
            self.assertEqual(older.signals, 1)

    def test_a_process_that_was_replaced(self) -> None:
        for service, older in self.services(leads=True, released=True):
            service._signalled()
            self.assertEqual(older.signals, 0)
            self.successResultOf(service.stopService())
