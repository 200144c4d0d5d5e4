"""Lock-out after failed log-ins: who is locked out or delayed, for how long, and how much memory this takes."""

from collections.abc import Iterable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import Lockout, LockoutSettings
from novnc_twisted.identity.lockout import KNOWN_FOR, MAX_DELAY

HERE, THERE = "192.0.2.1", "198.51.100.9"


class LockoutCase(SynchronousTestCase):
    def make(self, max_entries: int = 10_000, **settings: float) -> Lockout:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.lockout = Lockout(LockoutSettings(**settings), self.clock.seconds, max_entries)  # type: ignore[arg-type]
        return self.lockout

    def fail_(self, times: int, user: str = "alice", address: str = HERE) -> float:
        return [self.lockout.failed(user, address) for _ in range(times)][-1]

    def locked(self, user: str = "alice", address: str = HERE) -> float:
        return self.lockout.locked_for(user, address)


class PairTests(LockoutCase):
    """One user from one address."""

    def test_the_fifth_failure_locks(self) -> None:
        self.make()
        self.assertEqual((self.fail_(4), self.locked()), (0, 0))
        self.assertEqual((self.fail_(1), self.locked()), (2, 2))
        self.clock.advance(1.5)
        self.assertEqual(self.locked(), 0.5)
        self.clock.advance(0.5)
        self.assertEqual(self.locked(), 0)

    def test_each_further_failure_doubles_the_time(self) -> None:
        self.make()
        self.fail_(4)
        times = []
        for _ in range(12):
            times.append(self.fail_(1))
            self.clock.advance(times[-1])
            self.assertEqual(self.locked(), 0)
        self.assertEqual(times, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900])

    def test_a_thousand_guesses(self) -> None:
        """Even then the lock-out lasts 15 minutes, so a client that never stops has 4 guesses in an hour."""
        self.make()
        self.assertEqual(self.fail_(1_000), 900)
        self.clock.advance(899.5)
        self.assertEqual(self.locked(), 0.5)
        self.clock.advance(0.5)
        self.assertEqual(self.locked(), 0)

    def test_refused_attempts_do_not_prolong_it(self) -> None:
        self.make()
        self.fail_(5)
        for _ in range(100):
            self.locked()
        self.clock.advance(2)
        self.assertEqual(self.locked(), 0)

    def test_other_users_and_addresses(self) -> None:
        self.make()
        self.fail_(20)
        for user, address in (("alice", THERE), ("bob", HERE), ("Alice", HERE), ("alice ", HERE)):
            self.assertEqual(self.locked(user, address), 0)

    def test_an_ipv6_64(self) -> None:
        self.make()
        self.fail_(5, address="2001:db8::1")
        self.assertGreater(self.locked(address="2001:db8::ffff:1"), 0)
        self.assertEqual(self.locked(address="2001:db8:0:1::1"), 0)
        self.fail_(5, address="::ffff:192.0.2.9")
        self.assertGreater(self.locked(address="192.0.2.9"), 0)

    def test_a_success_clears_the_failures(self) -> None:
        self.make()
        for _ in range(50):
            self.assertEqual(self.fail_(4), 0)
            self.lockout.succeeded("alice", HERE)
        self.assertEqual(self.fail_(4), 0)

    def test_successes_never_count(self) -> None:
        self.make()
        for _ in range(10_000):
            self.lockout.succeeded("alice", HERE)
        self.assertEqual((self.locked(), self.lockout.delay("alice", HERE)), (0, 0))

    def test_failures_are_forgotten(self) -> None:
        self.make()
        self.fail_(4)
        self.clock.advance(900)
        self.assertEqual(self.fail_(4), 0)
        self.fail_(1)
        self.clock.advance(2 + 899)
        self.assertEqual(self.fail_(1), 4, "not forgotten yet")
        self.clock.advance(4 + 900)
        self.assertEqual(self.fail_(4), 0)

    def test_names_that_look_alike(self) -> None:
        """Different names never have the same entry, whatever characters they contain."""
        self.make(failures_per_address=0)
        self.fail_(5, "a", HERE)
        for user in ("a\0", "", f"a{HERE}", "\ud800", "x" * 100_000, "1:a"):
            self.assertEqual(self.locked(user), 0)
            self.fail_(5, user)
            self.assertGreater(self.locked(user), 0)


class AddressTests(LockoutCase):
    """One address, with any user name."""

    def test_many_users(self) -> None:
        self.make(failures_per_address=10)
        for at in range(9):
            self.assertEqual(self.fail_(1, f"user{at}"), 0)
        self.assertEqual(self.fail_(1, "user9"), 2)
        self.assertEqual((self.locked("alice"), self.locked("alice", THERE)), (2, 0))
        self.clock.advance(2)
        self.assertEqual((self.fail_(1, "user10"), self.locked("alice")), (4, 4))

    def test_users_known_at_the_address_are_exempt(self) -> None:
        """An office with one address: a forgotten script locks out itself and users who are new at the address."""
        self.make(failures_per_address=10)
        self.lockout.succeeded("alice", HERE)
        for at in range(100):
            self.fail_(1, f"user{at}")
        self.assertEqual((self.locked("alice"), self.locked("bob")), (0, 900))
        self.assertEqual((self.fail_(4), self.locked()), (0, 0))
        self.assertEqual(self.fail_(1), 2, "guesses at her own name lock her out")
        self.clock.advance(KNOWN_FOR)
        self.fail_(10, "carol")
        self.assertGreater(self.locked(), 0)

    def test_own_log_ins_do_not_clear_failures_of_others(self) -> None:
        """A log-in of mallory clears neither the failures of other users nor those of the address."""
        self.make(failures_per_address=10)
        self.fail_(4, "alice")
        for at in range(6):
            self.fail_(1, f"user{at}")
            self.lockout.succeeded("mallory", HERE)
            self.fail_(1, "mallory")
            self.lockout.succeeded("mallory", HERE)
        self.assertGreater(self.locked("alice"), 0)
        self.make()
        self.fail_(4, "alice")
        self.fail_(1, "mallory")
        self.lockout.succeeded("mallory", HERE)
        self.assertEqual(self.fail_(1, "alice"), 2)

    def test_a_success_clears_the_failures_of_that_user(self) -> None:
        self.make(failures_per_address=10)
        for _ in range(20):
            self.fail_(4)
            self.lockout.succeeded("alice", HERE)
        self.assertEqual(self.locked("bob"), 0)

    def test_off(self) -> None:
        self.make(failures_per_address=0)
        for at in range(1000):
            self.fail_(1, f"user{at}")
        self.assertEqual(self.locked("alice"), 0)


class UserTests(LockoutCase):
    """One user from many addresses: log-ins are delayed and never locked out."""

    def attack(self, failures: int) -> None:
        for at in range(failures):
            self.lockout.failed("alice", f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}")

    def test_log_ins_are_delayed(self) -> None:
        self.make()
        self.attack(99)
        self.assertEqual(self.lockout.delay("alice", HERE), 0)
        self.attack(1)
        self.assertEqual((self.lockout.delay("alice", HERE), self.locked()), (0.5, 0))
        self.attack(100)
        self.assertEqual(self.lockout.delay("alice", HERE), 1)
        self.attack(1_000)
        self.assertEqual((self.lockout.delay("alice", HERE), self.locked()), (MAX_DELAY, 0))
        self.assertEqual(self.lockout.delay("bob", HERE), 0)

    def test_users_known_at_the_address_are_exempt(self) -> None:
        self.make()
        self.lockout.succeeded("alice", HERE)
        self.attack(1_000)
        self.assertEqual(self.lockout.delay("alice", HERE), 0)
        self.assertGreater(self.lockout.delay("alice", THERE), 0)
        self.clock.advance(KNOWN_FOR)
        self.attack(1_000)
        self.assertGreater(self.lockout.delay("alice", HERE), 0)

    def test_off(self) -> None:
        self.make(failures_per_user=0)
        self.attack(1_000)
        self.assertEqual(self.lockout.delay("alice", HERE), 0)


class BoundsTests(LockoutCase):
    def test_memory(self) -> None:
        self.make(max_entries=10)
        for at in range(1_000):
            self.lockout.failed(f"user{at}", f"10.0.{at // 256}.{at % 256}")
            self.lockout.succeeded(f"good{at}", f"10.1.{at // 256}.{at % 256}")
        self.assertLessEqual(len(self.lockout), 40)

    def test_invented_names_do_not_replace_addresses(self) -> None:
        """An address that tries 1,000 user names is locked out: names and addresses have separate tables."""
        self.make(max_entries=10)
        for at in range(1_000):
            self.lockout.failed(f"user{at}", HERE)
        self.assertGreater(self.locked("new"), 0)

    def test_queries_take_no_memory(self) -> None:
        self.make()
        for at in range(1_000):
            self.locked(f"user{at}")
            self.lockout.delay(f"user{at}", HERE)
        self.assertEqual(len(self.lockout), 0)

    def test_off(self) -> None:
        self.make(failures=0)
        self.assertEqual(self.fail_(10_000), 0)
        self.lockout.succeeded("alice", HERE)
        self.assertEqual((self.locked(), self.lockout.delay("alice", HERE), len(self.lockout)), (0, 0, 0))


class WiderNetworkTests(LockoutCase):
    """IPv6: the owner of a /48 has 65,536 networks of /64."""

    def guesses(self, addresses: Iterable[str], at_most: int) -> int:
        """Make one guess from each address, all at the same time; return how many are not locked out."""
        checked = 0
        for number, address in enumerate(addresses):
            if not self.locked(f"user{number}", address):
                self.lockout.failed(f"user{number}", address)
                checked += 1
        self.assertLessEqual(checked, at_most)
        return checked

    def test_an_ipv6_48(self) -> None:
        self.make()
        checked = self.guesses((f"2001:db8:7:{number:x}::1" for number in range(0, 65536, 60)), 16 * 50)
        self.assertEqual(checked, 16 * 50)
        self.assertGreater(self.locked("alice", "2001:db8:7:abcd::1"), 0)
        self.assertEqual(self.locked("alice", "2001:db8:8::1"), 0)

    def test_an_ipv6_56(self) -> None:
        self.make()
        self.assertEqual(self.guesses((f"2001:db8:7:{number:x}::1" for number in range(256)), 4 * 50), 4 * 50)
        self.assertEqual(self.locked("alice", "2001:db8:7:100::1"), 0)

    def test_one_users_password_from_all_of_a_48(self) -> None:
        self.make()
        for number in range(0, 65536, 50):
            if not self.locked("alice", f"2001:db8:7:{number:x}::1"):
                self.lockout.failed("alice", f"2001:db8:7:{number:x}::1")
        self.assertGreater(self.locked("alice", "2001:db8:7:abcd::1"), 0)
        self.assertEqual(self.locked("alice", THERE), 0)

    def test_users_known_at_the_address_are_exempt(self) -> None:
        self.make()
        self.lockout.succeeded("alice", "2001:db8:7:abcd::1")
        self.guesses((f"2001:db8:7:{number:x}::1" for number in range(0, 65536, 50)), 16 * 50)
        self.assertEqual(self.locked("alice", "2001:db8:7:abcd::1"), 0)
        self.assertGreater(self.locked("bob", "2001:db8:7:abcd::1"), 0)

    def test_a_success_clears_the_failures_of_that_user(self) -> None:
        self.make()
        for number in range(400):
            address = f"2001:db8:7:{number * 100:x}::1"
            self.fail_(4, "alice", address)
            self.lockout.succeeded("alice", address)
        self.assertEqual(self.locked("bob", "2001:db8:7:abcd::1"), 0)

    def test_ipv4_has_no_wider_networks(self) -> None:
        self.make()
        mapped = self.guesses((f"::ffff:10.0.{number % 256}.{number // 256}" for number in range(1000)), 1000)
        plain = self.guesses((f"10.1.{number % 256}.{number // 256}" for number in range(1000)), 1000)
        self.assertEqual((mapped, plain), (1000, 1000))
        self.assertEqual(self.locked("alice", "10.0.99.99"), 0)
        self.assertEqual(self.locked("alice", "unknown"), 0)

    def test_off(self) -> None:
        self.make(failures_per_address=0)
        self.assertEqual(self.guesses((f"2001:db8:7:{number:x}::1" for number in range(1000)), 1000), 1000)
