"""Exclusive topics: what is called and logged when one is lost and regained."""

import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.messaging.redis.exclusive_topics import ExclusiveTopic, conflict, origin
from novnc_twisted.messaging.redis.health import QUIET, Health
from tests.support.logged import Logged


class ExclusiveTopicTests(SynchronousTestCase):
    """The exclusive topic ``compute.one``."""

    def setUp(self) -> None:
        self.logged = Logged(self)
        self.clock = Clock()
        self.changes: list[bool] = []
        self.exclusive = ExclusiveTopic("compute.one", self.changes.append, Health(self.clock, "redis://there"))

    def lines(self) -> list[str]:
        return [line.removeprefix("Redis at redis://there ") for line in self.logged.lines("Redis at")]

    def test_only_changes_are_reported(self) -> None:
        for _ in range(3):
            self.exclusive.won()
        for _ in range(3):
            self.exclusive.lost("x")
        for _ in range(3):
            self.exclusive.won()
        self.assertEqual(self.changes, [True, False, True])
        self.assertEqual(self.lines(), ["x", "no longer has another server of compute.one: this process serves it"])

    def test_lost_before_it_was_won(self) -> None:
        self.exclusive.lost("x")
        self.assertEqual(self.changes, [])
        self.exclusive.won()
        self.assertEqual(self.changes, [True])

    def test_a_long_conflict_is_logged_once_a_minute(self) -> None:
        for _ in range(180):
            self.exclusive.lost("x")
            self.clock.advance(1)
        self.assertEqual(self.lines(), ["x"] * round(180 / QUIET))

    def test_an_end_is_logged_only_after_a_conflict(self) -> None:
        self.exclusive.won()
        self.assertEqual(self.lines(), [])

    def test_origin(self) -> None:
        self.assertRegex(origin("192.0.2.1"), r"^[^,]+, 192\.0\.2\.1, process \d+$")
        self.assertRegex(origin(""), r"^[^,]+, process \d+$")
        self.patch(socket, "gethostname", lambda: "host\udcff")
        self.assertRegex(origin(""), r"^host\?, process \d+$")

    def test_both_processes_are_named(self) -> None:
        other = 'w {"binary":"b","host":"one","from":"web3, 10.0.0.3, process 7","info":{}}'
        line = conflict("compute.one", "one", "web4, process 8", [other])
        self.assertIn("belongs to web3, 10.0.0.3, process 7; this process (web4, process 8) serves nothing", line)
        self.assertIn("set [DEFAULT] host", line)
        self.assertIn("belongs to another process", conflict("compute.one", "one", "me", [""]))
