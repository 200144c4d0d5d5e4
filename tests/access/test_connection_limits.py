"""The limits of connections, in all and for each network, and which connection is closed to make room."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.connection_limits import ConnectionLimits, ConnectionSlot
from novnc_twisted.access.forwarded import networks
from tests.support.untimed import untimed


class Connections:
    """Connections under limits.

    :ivar open: those that were admitted and not closed, oldest first.
    :ivar observed: the observer's calls.
    """

    def __init__(self, maximum: int, trusted: tuple[str, ...] = ()) -> None:
        self.observed: list[tuple[str, str]] = []
        self.limits = ConnectionLimits(
            maximum, trusted=networks(trusted), observer=lambda address, why: self.observed.append((address, why))
        )
        self.open: list[tuple[str, ConnectionSlot]] = []

    def connect(self, address: str, *, silent: bool = True) -> ConnectionSlot | None:
        slot = self.limits.admit(address)
        if slot is not None:
            one = (address, slot)
            self.open.append(one)
            if silent:
                slot.silent(lambda: self.open.remove(one))
        return slot

    def of(self, address: str) -> int:
        return sum(one == address for one, _ in self.open)


class LimitTests(SynchronousTestCase):
    def test_half_of_all_is_unlimited(self) -> None:
        """One address may have half of the maximum; each further connection closes its oldest silent one."""
        here = Connections(100)
        slots = [here.connect("192.0.2.1") for _ in range(500)]
        self.assertEqual((here.of("192.0.2.1"), len(here.limits)), (50, 50))
        self.assertNotIn(None, slots)
        self.assertEqual([slot for _, slot in here.open], slots[-50:], "the newest stay")

    def test_a_share_for_each_network(self) -> None:
        """Once half of the maximum is in use, a network may have a tenth; connections that sent a request stay."""
        here = Connections(100)
        for _ in range(60):
            here.connect("192.0.2.1", silent=False)
        self.assertEqual(here.of("192.0.2.1"), 50)
        for host in range(2, 7):
            slots = [here.connect(f"192.0.2.{host}", silent=False) for _ in range(12)]
            self.assertEqual(slots.count(None), 2)
        self.assertEqual(len(here.limits), 100)

    def test_a_network_that_loses_one_connection_keeps_the_count_of_the_others(self) -> None:
        here = Connections(20)
        slots = [here.connect("192.0.2.1", silent=False) for _ in range(3)]
        for host in range(2, 12):
            here.connect(f"192.0.2.{host}", silent=False)
        assert slots[0] is not None
        slots[0].release()
        self.assertIsNone(here.connect("192.0.2.1", silent=False), "its share is two of twenty")

    def test_the_oldest_silent_one_of_all_makes_room(self) -> None:
        here = Connections(10)
        for host in range(10):
            here.connect(f"192.0.2.{host}", silent=host not in (0, 1))
        self.assertIsNotNone(here.connect("198.51.100.1"))
        self.assertEqual([address for address, _ in here.open[:3]], ["192.0.2.0", "192.0.2.1", "192.0.2.3"])

    def test_a_connection_that_sent_a_request_is_not_closed(self) -> None:
        here = Connections(4)
        for host in range(4):
            here.connect(f"192.0.2.{host}", silent=False)
        self.assertIsNone(here.connect("198.51.100.1"))
        self.assertEqual(len(here.open), 4)

    def test_slow_readers(self) -> None:
        """If no connection is silent, the one that has been reading longest is closed."""
        here = Connections(10)
        slots = [here.connect(f"192.0.2.{host}", silent=False) for host in range(10)]
        for at in (5, 3):
            slot, one = slots[at], here.open[at]
            assert slot is not None
            slot.reading(lambda one=one: here.open.remove(one))
        slot, one = slots[7], here.open[7]
        assert slot is not None
        slot.silent(lambda: here.open.remove(one))
        for gone in (7, 5, 3):
            self.assertIsNotNone(here.connect("198.51.100.1", silent=False))
            self.assertNotIn(f"192.0.2.{gone}", [address for address, _ in here.open])
            self.assertEqual(len(here.open), 10)
            (last,) = [one for one in here.open if one[0] == "198.51.100.1"]
            here.open.remove(last)
            last[1].release()
            here.connect(f"203.0.113.{gone}", silent=False)
        self.assertIsNone(here.connect("198.51.100.1"))

    def test_silent_again(self) -> None:
        """After a response, a connection is the last silent one to be closed."""
        here = Connections(10)
        slots = [here.connect(f"192.0.2.{host}") for host in range(10)]
        assert slots[0] is not None
        slots[0].busy()
        slots[0].silent(lambda: self.fail("it is not the oldest"))
        here.connect("198.51.100.1")
        self.assertNotIn("192.0.2.1", [address for address, _ in here.open])

    def test_trusted_proxies_and_unix_sockets(self) -> None:
        """Only the total limit applies to them, because they carry the connections of many clients."""
        for address in ("10.0.0.1", "::ffff:10.0.0.1", ""):
            here = Connections(100, ("10.0.0.0/8",))
            for _ in range(120):
                here.connect(address, silent=False)
            self.assertEqual(len(here.open), 100, address)

    def test_networks(self) -> None:
        """An IPv6 /64 or an IPv4 address, in any notation, is one network."""
        for first, second, third in (
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("unknown", "unknown", "192.0.2.1"),
        ):
            here = Connections(20)
            for _ in range(10):
                here.connect(first, silent=False)
            self.assertIsNone(here.connect(second, silent=False), second)
            self.assertIsNotNone(here.connect(third, silent=False), third)

    def test_a_good_token_uses_up_no_share(self) -> None:
        """Connections with a valid token count for the maximum, but not for the share of their network."""
        here = Connections(100)
        for at in range(100):
            slot = here.connect("192.0.2.1")
            assert slot is not None, at
            slot.busy()
            slot.authorised()
        self.assertEqual((len(here.open), len(here.limits)), (100, 100))
        self.assertIsNone(here.connect("192.0.2.1"))
        for _, slot in here.open:
            slot.release()
            slot.release()
            slot.silent(lambda: None)
        self.assertEqual(len(here.limits), 0)

    def test_off(self) -> None:
        here = Connections(0)
        for _ in range(1000):
            here.connect("192.0.2.1", silent=False)
        self.assertEqual((len(here.limits), here.observed), (1000, []))

    def test_the_observer(self) -> None:
        """It is called with the network of a closed connection or the address of a refused one, and the reason."""
        here = Connections(10)
        for _ in range(6):
            here.connect("192.0.2.1")
        ((address, why),) = here.observed
        self.assertEqual(address, "192.0.2.1")
        self.assertIn("this network has 5 connections (consoles with a valid token do not count)", why)
        here = Connections(1)
        here.connect("192.0.2.1", silent=False)
        here.connect("192.0.2.2")
        ((address, why),) = here.observed
        self.assertEqual(address, "192.0.2.2")
        self.assertIn("all 1 connections", why)

    @untimed
    @given(st.integers(1, 12), st.lists(st.integers(0, 5 * 6 * 31 - 1)))
    def test_any_order(self, maximum: int, steps: list[int]) -> None:
        """There are never more connections than the maximum; only waiting ones are closed; the count ends at 0."""
        here = Connections(maximum)
        for step in steps:  # one number each: drawing three would take most of the time
            what, host, at = step % 5, step // 5 % 6, step // 30
            if what == 0 or not here.open:
                busy = [one for one in here.open if one[1].close is None]
                here.connect(f"192.0.2.{host}", silent=at % 2 == 0)
                self.assertEqual([one for one in busy if one not in here.open], [])
            else:
                one = here.open[at % len(here.open)]
                if what == 1:
                    one[1].busy()
                elif what == 2:
                    one[1].silent(lambda one=one: here.open.remove(one))
                elif what == 3:
                    one[1].reading(lambda one=one: here.open.remove(one))
                else:
                    here.open.remove(one)
                    one[1].release()
            self.assertEqual(len(here.limits), len(here.open))
            self.assertLessEqual(len(here.open), maximum)
        for _, slot in here.open:
            slot.release()
        self.assertEqual(len(here.limits), 0)
