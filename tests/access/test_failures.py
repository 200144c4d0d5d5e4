"""Failures are counted by address, for a minute, in bounded memory."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import Failures
from novnc_twisted.access.failures import network_of


class FailuresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(600)

    def make(self, limit: int, **more: int) -> Failures:
        return Failures(limit, self.clock.seconds, **more)

    def fail_(self, failures: Failures, address: str, times: int) -> None:
        for _ in range(times):
            failures.count(address)

    def test_the_limit(self) -> None:
        failures = self.make(3)
        self.fail_(failures, "192.0.2.1", 2)
        self.assertFalse(failures.too_many("192.0.2.1"))
        failures.count("192.0.2.1")
        self.assertTrue(failures.too_many("192.0.2.1"))
        self.assertFalse(failures.too_many("192.0.2.2"))

    def test_a_minute_later(self) -> None:
        failures = self.make(3)
        self.clock.advance(59)
        self.fail_(failures, "192.0.2.1", 3)
        self.clock.advance(2)
        self.assertFalse(failures.too_many("192.0.2.1"), "the estimate is a little less than 3")
        self.fail_(failures, "192.0.2.1", 1)
        self.assertTrue(failures.too_many("192.0.2.1"), "the failures of the minute before still count")
        self.clock.advance(120)
        self.assertFalse(failures.too_many("192.0.2.1"))

    def test_one_check_at_a_time_beyond_the_limit(self) -> None:
        """Beyond the limit, one for each address or IPv6 /64; below the limit, any number."""
        failures = self.make(2)
        below = [failures.begin_check("2001:db8::1") for _ in range(3)]
        self.assertNotIn(None, below)
        self.fail_(failures, "2001:db8::1", 2)
        only = failures.begin_check("2001:db8::2")
        assert only is not None
        self.assertIsNone(failures.begin_check("2001:db8::3"))
        self.assertIsNotNone(failures.begin_check("2001:db8:0:1::1"))
        for check in below:
            assert check is not None
            check.end()
        self.assertIsNone(failures.begin_check("2001:db8::3"), "the ended checks were begun below the limit")
        only.end()
        following = failures.begin_check("2001:db8::3")
        assert following is not None
        only.end()
        self.assertIsNone(failures.begin_check("2001:db8::4"), "ending it again does nothing")
        following.end()
        self.assertIsNotNone(failures.begin_check("2001:db8::4"))

    def test_asking_takes_no_memory(self) -> None:
        failures = self.make(3)
        for at in range(1000):
            failures.too_many(f"192.0.2.{at}")
        self.assertEqual(len(failures), 0)

    def test_memory_is_bounded(self) -> None:
        failures = self.make(1, max_addresses=10)
        for at in range(1000):
            failures.count(f"10.0.{at // 256}.{at % 256}")
        self.assertEqual(len(failures), 10)
        self.assertTrue(failures.too_many("10.0.3.231"))

    def test_off(self) -> None:
        failures = self.make(0)
        self.fail_(failures, "192.0.2.1", 10000)
        self.assertFalse(failures.too_many("192.0.2.1"))
        self.assertEqual(len(failures), 0)

    def test_a_64_of_ipv6(self) -> None:
        failures = self.make(1)
        failures.count("2001:db8::1")
        self.assertTrue(failures.too_many("2001:db8::ffff"))
        self.assertFalse(failures.too_many("2001:db8:0:1::1"))

    def test_networks(self) -> None:
        for address, network in {
            "192.0.2.1": "192.0.2.1",
            "::ffff:192.0.2.1": "192.0.2.1",
            "fe80::1%eth0": "fe80::/64",
            "": "",
        }.items():
            self.assertEqual(network_of(address), network)
        self.assertEqual(len(network_of("x" * 1000)), 64)
