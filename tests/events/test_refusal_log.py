"""The log of refusals: the first of a kind at once, then counts, and a last line; the number of lines is limited."""

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.events import RefusalLog, RequestRefused
from novnc_twisted.events.refusal_log import INTERVAL, MAX_KINDS
from novnc_twisted.frontend.refusals import limits_observer
from novnc_twisted.http.unreadable_addresses import UnreadableAddresses
from tests.support.handed_out import secret
from tests.support.logged import Logged


class RefusalLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.logged = Logged(self)
        self.refused = RefusalLog(self.clock)

    def refuse(self, address: str = "192.0.2.1", cause: str = "ForeignOrigin", **more: Any) -> None:
        values: dict[str, Any] = {"service": "novncproxy", "status": 403, "detail": "the Origin is http://evil"}
        self.refused(RequestRefused(cause=cause, address=address, **(values | more)))

    def lines(self) -> list[str]:
        lines = self.logged.lines()
        self.logged.clear()
        return lines

    def test_one(self) -> None:
        """One line, with the cause, the status, the address and the option; nothing more about it later."""
        self.refuse(option="[console] allowed_origins")
        (line,) = self.lines()
        for part in ("novncproxy", "192.0.2.1", "ForeignOrigin", "403", "http://evil", "[console] allowed_origins"):
            self.assertIn(part, line)
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual((self.lines(), self.clock.getDelayedCalls()), ([], []))

    def test_many(self) -> None:
        """A line at once, then a count at most once a minute, and a last line."""
        for _ in range(1000):
            self.refuse()
        self.assertEqual(len(self.lines()), 1)
        self.clock.advance(INTERVAL)
        (line,) = self.lines()
        self.assertIn("refused 192.0.2.1 999 more times", line)
        for _ in range(30):
            self.clock.advance(1)
            self.refuse(detail="the Origin is http://other")
        self.assertEqual(self.lines(), [])
        self.clock.advance(INTERVAL - 30)
        (line,) = self.lines()
        self.assertIn("30 more times", line)
        self.assertIn("http://other", line)
        self.clock.advance(INTERVAL)
        (line,) = self.lines()
        self.assertIn("refused 192.0.2.1 0 more times in the last minute", line)
        self.assertIn("1030 in all", line)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.refuse()
        self.assertEqual(len(self.lines()), 1, "the count begins anew")

    def test_no_count_soon_after_the_first_line(self) -> None:
        self.refuse("192.0.2.1")
        self.clock.advance(INTERVAL - 1)
        self.refuse("192.0.2.2")
        self.refuse("192.0.2.2")
        self.lines()
        self.clock.advance(1)
        self.assertEqual(self.lines(), [])
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.lines()), 1)

    def test_kinds(self) -> None:
        """Other causes, addresses and services have lines of their own; a /64 has one."""
        for more in ({}, {"cause": "BadRequest"}, {"address": "192.0.2.2"}, {"service": "xvpvncproxy"}):
            self.refuse(**more)
        self.refuse("2001:db8::1")
        self.refuse("2001:db8::2")
        self.assertEqual(len(self.lines()), 5)

    def test_bounded(self) -> None:
        """Refusals of very many addresses leave a bounded number of lines, and are all counted."""
        for host in range(5000):
            self.refuse(f"10.0.{host // 256}.{host % 256}")
        self.assertEqual(len(self.lines()), MAX_KINDS + 1)
        self.clock.advance(INTERVAL)
        (line,) = self.lines()
        self.assertIn(f"refused other addresses {5000 - MAX_KINDS - 1} more times", line)

    def test_stopping(self) -> None:
        """The counts are logged; no timer is left, and later refusals start none."""
        for _ in range(3):
            self.refuse()
        self.lines()
        self.refused.stop()
        self.refused.stop()
        (line,) = self.lines()
        self.assertIn("2 more times", line)
        self.refuse("192.0.2.9")
        self.assertEqual((len(self.lines()), self.clock.getDelayedCalls()), (1, []))

    def test_fit_for_a_log(self) -> None:
        """One line, bounded, and no token."""
        token = secret("5ad3c1f2-1111-4222-8333-444455556666")
        self.refuse(detail=f"the Origin is http://evil/?token={token}\r\n\x1b[31m{'x' * 5000}")
        (line,) = self.lines()
        self.assertNotIn(token, line)
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 600)

    def test_levels(self) -> None:
        """Only severe refusals are warnings."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.refuse()
        self.refuse("192.0.2.2", severe=True)
        self.assertEqual([event["log_level"].name for event in events], ["info", "warn"])
        self.assertEqual([event["address"] for event in events], ["192.0.2.1", "192.0.2.2"])

    def test_too_many_connections(self) -> None:
        """ConnectionLimits reports its refusals to the log."""
        limits = ConnectionLimits(1, observer=limits_observer("proxies", self.refused, "[console] max_connections"))
        limits.admit("192.0.2.1")
        limits.admit("192.0.2.2")
        (line,) = self.lines()
        for part in ("proxies: refused 192.0.2.2", "all 1 connections are in use", "[console] max_connections"):
            self.assertIn(part, line)


class UnreadableTests(SynchronousTestCase):
    def test_once_a_minute(self) -> None:
        clock, logged = Clock(), Logged(self)
        unreadable = UnreadableAddresses(clock)
        for _ in range(100):
            unreadable.warn("10.0.0.1", ["203.0.113.9, unix:\n"])
        (line,) = logged.lines("10.0.0.1")
        for part in ("unix:?", "X-Forwarded-For", "bind_address"):
            self.assertIn(part, line)
        clock.advance(60)
        unreadable.warn("10.0.0.1", [""])
        self.assertEqual(len(logged.lines("10.0.0.1")), 2)
