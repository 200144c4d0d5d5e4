"""Filters of a live relay are added and removed between messages of the viewer."""

import struct
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.mode import VIEW
from novnc_twisted.errors import ConsoleClosed, ProtocolViolation
from novnc_twisted.relay import StreamEnd, join
from novnc_twisted.relay.interfaces import IRelay
from novnc_twisted.rfb import Shield
from novnc_twisted.rfb.constants import Encoding
from novnc_twisted.rfb.power import XVP_INIT
from novnc_twisted.session.rfb_console import RFBConsole
from tests.relay.end_case import GONE, Transport

KEY = b"\4\1\0\0\0\0\0a"
TEXT = b"\6\0\0\0\0\0\0\x0a" + b"0123456789"
ASKS_FOR_POWER = struct.pack(">BxHi", 2, 1, Encoding.XVP)


class NoKeys:
    """Drops key events; records its input."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def from_client(self, data: bytes) -> bytes:
        self.given.append(data)
        return data.replace(KEY, b"")


class Recorder:
    """Records the server's bytes."""

    def __init__(self) -> None:
        self.data = b""

    def from_upstream(self, data: bytes) -> bytes:
        self.data += data
        return data


class Filters(SynchronousTestCase):
    """A relay on transports in memory."""

    def setUp(self) -> None:
        clock = Clock()
        self.near, self.far = Transport(), Transport()
        self.client, self.upstream = StreamEnd(clock), StreamEnd(clock, lost=ConsoleClosed)
        self.client.makeConnection(self.near)
        self.upstream.makeConnection(self.far)
        self.causes: list[Any] = []

    def relay(self, *filters: Any) -> Any:
        relay = join(self.client, self.upstream, filters)
        verifyObject(IRelay, relay)
        relay.start(self.causes.append)
        return relay

    def sends(self, data: bytes) -> bytes:
        """Send bytes as the viewer; return what the server receives."""
        self.client.dataReceived(data)
        return self.far.take()

    def test_between_messages_at_once(self) -> None:
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.assertEqual(self.sends(KEY), KEY)
        relay.add_filter(no_keys)
        self.assertEqual(self.sends(KEY + TEXT), TEXT)
        relay.remove_filter(no_keys)
        self.assertEqual(self.sends(KEY), KEY)
        self.assertEqual(len(relay.filters), 1)

    def test_a_message_that_is_not_whole_is_not_yet_passed_on(self) -> None:
        """The shield holds back its beginning, so the new filter receives the whole message."""
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.assertEqual(self.sends(KEY[:3]), b"")
        relay.add_filter(no_keys)
        self.assertEqual(self.sends(KEY[3:]), b"")
        self.assertEqual(no_keys.given, [KEY])

    def test_a_text_under_way_is_finished_first(self) -> None:
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.assertEqual(self.sends(TEXT[:12]), TEXT[:12])
        relay.add_filter(no_keys)
        self.assertEqual(self.sends(TEXT[12:15]), TEXT[12:15])
        self.assertEqual(self.sends(TEXT[15:] + KEY + TEXT + KEY), TEXT[15:] + TEXT)
        self.assertEqual(no_keys.given, [KEY + TEXT + KEY])

    def test_no_new_text_keeps_a_filter_out(self) -> None:
        """Each piece ends within another text, but the filter applies after the first text."""
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.sends(TEXT[:12])
        relay.add_filter(no_keys)
        for _ in range(3):
            self.assertEqual(self.sends(TEXT[12:] + KEY + TEXT[:12]), TEXT[12:] + TEXT[:12])

    def test_a_filter_that_is_removed_before_it_applied(self) -> None:
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.sends(TEXT[:12])
        relay.add_filter(no_keys)
        relay.remove_filter(no_keys)
        self.assertEqual(self.sends(TEXT[12:] + KEY), TEXT[12:] + KEY)
        self.assertEqual(no_keys.given, [])

    def test_the_end_of_a_text_alone(self) -> None:
        relay, no_keys = self.relay(Shield()), NoKeys()
        self.sends(TEXT[:12])
        relay.add_filter(no_keys)
        self.assertEqual(self.sends(TEXT[12:]), TEXT[12:])
        self.assertEqual(self.sends(KEY), b"")

    def test_what_the_first_filter_refuses_still_ends_the_session(self) -> None:
        relay = self.relay(Shield())
        self.sends(TEXT[:12])
        relay.add_filter(NoKeys())
        self.assertEqual(self.sends(TEXT[12:] + b"\1"), b"")
        self.assertIsInstance(self.causes[0], ProtocolViolation)

    def test_filters_of_the_other_direction_need_no_messages(self) -> None:
        relay, recorder = self.relay(), Recorder()
        relay.add_filter(recorder)
        self.upstream.dataReceived(b"picture")
        self.assertEqual((recorder.data, self.near.take(), self.sends(KEY)), (b"picture", b"picture", KEY))

    def test_the_order(self) -> None:
        """The first filter is on the viewer's side: first for what the viewer sends, last for what it gets."""

        class Adds:
            def __init__(self, mark: bytes) -> None:
                self.from_client = self.from_upstream = lambda data: data + mark

        self.relay(Adds(b"1"), Adds(b"2"))
        self.upstream.dataReceived(b"x")
        self.assertEqual((self.sends(b"y"), self.near.take()), (b"y12", b"x21"))

    def test_the_order_while_a_message_is_under_way(self) -> None:
        class Adds:
            def __init__(self, mark: bytes) -> None:
                self.from_upstream = lambda data: data + mark

        relay = self.relay(Shield(), Adds(b"1"))
        self.sends(TEXT[:12])
        relay.add_filter(Adds(b"2"))
        self.upstream.dataReceived(b"x")
        self.assertEqual(self.near.take(), b"x21")

    def test_filters_of_the_server_do_not_wait_for_the_viewer(self) -> None:
        """They change at once, although a viewer's message is unfinished."""
        relay, first, second = self.relay(Shield()), Recorder(), Recorder()
        relay.add_filter(first)
        self.sends(TEXT[:12])
        relay.add_filter(NoKeys())
        relay.remove_filter(first)
        relay.add_filter(second)
        self.upstream.dataReceived(b"picture")
        self.assertEqual((first.data, second.data, self.near.take()), (b"", b"picture", b"picture"))
        self.assertEqual(self.sends(TEXT[12:] + KEY), TEXT[12:])

    def test_power_is_offered_once_while_a_message_is_under_way(self) -> None:
        relay, console = self.relay(Shield()), RFBConsole()
        console.offer_power(relay, lambda _action: None)
        self.sends(ASKS_FOR_POWER + TEXT[:12])
        console.change_rights(relay, ConnectInfo(host="h", port=1, name="n", mode=VIEW))
        for _ in range(2):
            self.upstream.dataReceived(b"\2")
        self.assertEqual(self.near.take(), XVP_INIT + b"\2\2")

    def test_what_is_impossible(self) -> None:
        """The first filter must know where messages end, and must stay."""
        self.assertRaises(ValueError, self.relay().add_filter, NoKeys())
        shield = Shield()
        relay = self.relay(shield)
        self.assertRaises(ValueError, relay.remove_filter, shield)
        self.assertRaises(ValueError, relay.remove_filter, NoKeys())

    def tearDown(self) -> None:
        self.client.connectionLost(GONE)
        self.upstream.connectionLost(GONE)
