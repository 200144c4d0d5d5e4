"""Limits for the number of connections, their end, and the access log."""

from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPFactory

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.forwarded import networks
from novnc_twisted.http.access_log import LoggedPaths
from novnc_twisted.http.channel import IDLE_TIMEOUT
from novnc_twisted.http.strict_channel import CLOSE_TIMEOUT
from tests.http.harness import Connection, EchoSite
from tests.support.logged import Logged

GET = b"GET /some/path HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /some/path HTTP/1.1\r\nHost: localhost\r\n"


def is_closed(connection: Connection) -> bool:
    return bool(connection.transport.disconnecting)


class EndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = EchoSite()
        self.clock = self.site.clock

    def test_idle_connections(self) -> None:
        connection = Connection(self.site)
        connection.send(GET)
        self.clock.advance(IDLE_TIMEOUT)
        self.assertTrue(is_closed(connection))

    def test_a_client_that_does_not_read(self) -> None:
        connection = Connection(self.site)
        connection.send(GET + GET)
        self.assertTrue(is_closed(connection))
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(connection.transport.disconnected)

    def test_leaving_at_any_time(self) -> None:
        whole = POST + b"Content-Length: 2\r\n\r\n{}"
        for length in range(len(whole) + 1):
            connection = Connection(self.site)
            connection.send(whole[:length])
            connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.site.connection_limits), 0)

    def test_a_connection_that_does_not_begin(self) -> None:
        """If it never gets a transport, its slot is free again, and ``site.empty()`` does not wait for it."""
        with mock.patch.object(HTTPFactory, "buildProtocol", side_effect=ZeroDivisionError):
            self.assertRaises(ZeroDivisionError, self.site.buildProtocol, None)
        self.assertEqual(len(self.site.connection_limits), 0)
        channel = self.site.buildProtocol(None)  # never gets a transport
        self.successResultOf(self.site.empty())
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.site.connection_limits), 0)

    def test_leaving_while_the_request_is_answered(self) -> None:
        connection = Connection(self.site)
        connection.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.site.application.silent.called, "the work for it is cancelled")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_the_end_of_listening(self) -> None:
        idle, waiting = Connection(self.site), Connection(self.site)
        idle.send(GET)
        waiting.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.site.stopFactory()
        self.assertEqual([is_closed(one) for one in (idle, waiting)], [True, False])
        self.site.application.silent.callback(None)
        self.assertEqual(len(waiting.answers()), 1)
        self.assertIn(b"connection: close", waiting.transport.value().lower())
        self.assertTrue(is_closed(waiting))

    def test_a_successor_listens(self) -> None:
        """A connection that has sent nothing yet, or part of a request, gets one response; idle ones are closed."""
        fresh, half, head, idle = (Connection(self.site) for _ in range(4))
        idle.send(GET)
        half.send(POST)
        head.send(POST + b"Content-Length: 2\r\n\r\n{")
        self.site.answers_first_requests = True
        empty = self.site.empty()
        self.site.stopFactory()
        self.assertEqual([is_closed(one) for one in (fresh, half, head, idle)], [False, False, False, True])
        fresh.send(GET)
        half.send(b"Content-Length: 2\r\n\r\n{}")
        head.send(b"}")
        for connection in (fresh, half, head):
            self.assertEqual(len(connection.answers()), 1)
            self.assertIn(b"connection: close", connection.transport.value().lower())
            self.assertTrue(is_closed(connection))
        for connection in (fresh, half, head, idle):
            self.assertNoResult(empty)
            connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(empty)


class LimitTests(SynchronousTestCase):
    def test_many_connections(self) -> None:
        """A new connection replaces the one that has waited longest for a request; those with a request stay."""
        site = EchoSite(limits=ConnectionLimits(4))
        connections = [Connection(site, peer=f"10.0.0.{at}") for at in range(4)]
        connections[0].send(POST + b"Content-Length: 2\r\n\r\n")  # its head is complete
        connections[1].send(GET)  # answered, and waiting for the next request
        self.assertIsNotNone(Connection(site, peer="10.0.1.1").protocol)
        self.assertEqual([one.transport.disconnected for one in connections], [False, False, True, False])
        for at in (3, 1):
            Connection(site, peer=f"10.0.2.{at}")
            self.assertTrue(connections[at].transport.disconnected)
        self.assertFalse(connections[0].transport.disconnected)
        self.assertEqual(len(site.connection_limits), 4)

    def test_bodies_that_never_come(self) -> None:
        """If all connections wait for a body, a new connection replaces the oldest one."""
        site = EchoSite(limits=ConnectionLimits(4))
        connections = [Connection(site, peer=f"10.0.0.{at}") for at in range(4)]
        for connection in connections:
            connection.send(POST + b"Content-Length: 2\r\n\r\n{")
        other = Connection(site, peer="10.0.1.1")
        other.send(GET)
        self.assertEqual(len(other.answers()), 1)
        self.assertEqual([one.transport.disconnected for one in connections], [True, False, False, False])

    def test_one_client_excludes_no_other(self) -> None:
        """One client's silent connections get half of the slots, a trusted proxy's all; others are still served."""
        for trusted, places in (((), 10), (["10.0.0.1"], 20)):
            limits = ConnectionLimits(20, trusted=networks(trusted))
            site = EchoSite(limits=limits)
            for _ in range(100):
                Connection(site, peer="10.0.0.1")
            self.assertEqual(len(limits), places)
        other = Connection(site, peer="10.0.0.2")
        other.send(GET)
        self.assertEqual(len(other.answers()), 1)


class LogTests(SynchronousTestCase):
    def get(self, site: EchoSite, peer: str, value: str) -> None:
        head = f"GET /some/path HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {value}\r\n\r\n"
        Connection(site, peer=peer).send(head.encode())

    def test_paths(self) -> None:
        """Segments are shown if a logged path has them, or a variable, at this place, unless they are secret."""
        paths = LoggedPaths(["some/path", "things/{}", "things/{}/part", "secrets/{}"], secret_below=["secrets"])
        for path, shown in (
            (b"/", "/"),
            (b"/some/path", "/some/path"),
            (b"/some/p%61th/", "/some/p%61th/"),
            (b"/things/abc", "/things/abc"),
            (b"/things/abc/part", "/things/abc/part"),
            (b"/things/a\x1b[31m\xff\xc2\x85", "/things/a?[31m\xff\xc2?"),
            (b"/things/token=abc", "/things/token=***"),
            (b"/secrets/abc", "/secrets/***"),
            (b"/secre%74s/abc/", "/secrets/***/"),
            (b"/secrets/abc/def", "/secrets/***/***"),
            (b"/abc", "/***"),
            (b"/some/abc", "/some/***"),
            (b"/things/abc/other", "/things/***/***"),
            (b"/things//abc", "/things//***"),
            (b"//abc/things", "//***/things"),
            (b"abc", "/***"),
            (b"*", "/***"),
        ):
            self.assertEqual(paths.show(path), shown)
        self.assertEqual(len(paths.show(b"/things/" + b"x" * 9999)), 300)

    def test_the_client_s_address(self) -> None:
        """The log contains the address that a trusted proxy sends, else the peer's."""
        log = Logged(self)
        site = EchoSite(trusted=["10.0.0.1"])
        for peer in ("10.0.0.1", "10.0.0.2"):
            self.get(site, peer, "192.0.2.7")
        self.assertTrue(log.lines("192.0.2.7 GET /some/path 200"))
        self.assertTrue(log.lines("10.0.0.2 GET /some/path 200"))

    def test_addresses_that_cannot_be_read(self) -> None:
        """Such a client is logged as ``unknown``, with one warning per minute."""
        log = Logged(self)
        site = EchoSite(trusted=["10.0.0.1"])
        self.get(site, "10.0.0.1", '"[2001:db8::7]:51008"')
        self.assertTrue(log.lines("2001:db8::7 GET /some/path 200"))
        for _ in range(3):
            self.get(site, "10.0.0.1", "198.51.100.1, unix:")
        self.assertEqual(len(log.lines("unknown GET /some/path 200")), 3)
        (warning,) = log.lines("no valid client address: '198.51.100.1, unix:'")
        self.assertIn("10.0.0.1", warning)
        site.clock.advance(60)
        self.get(site, "10.0.0.1", "")
        self.assertEqual(len(log.lines("no valid client address")), 2)
