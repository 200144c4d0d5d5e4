"""How many connections there may be, how they end, and what the log says of them."""

import io

from twisted.internet.error import ConnectionDone
from twisted.logger import FilteringLogObserver, globalLogPublisher, textFileLogObserver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.connection_limits import ConnectionLimits
from novnc_twisted.access.forwarded import networks
from novnc_twisted.api.site import MAX_CONNECTIONS, SECRET_BELOW
from novnc_twisted.http.access_log import loggable
from novnc_twisted.http.channel import IDLE_TIMEOUT
from novnc_twisted.http.strict_channel import CLOSE_TIMEOUT
from novnc_twisted.identity import NoAuth
from tests.api.harness import Connection, FakeHost, instance, running, uuid_of
from tests.support.logged import Logged

GET = b"GET /v2.1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v2.1/servers/x/action HTTP/1.1\r\nHost: localhost\r\n"


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.system = running(self, NoAuth(), FakeHost("host1", instance("one")))
        self.clock = self.system.reactor

    def connect(self) -> Connection:
        return Connection(self.system.site)

    def closed(self, connection: Connection) -> bool:
        return bool(connection.transport.disconnecting)

    def test_idle_connections(self) -> None:
        connection = self.connect()
        connection.send(GET)
        self.clock.advance(IDLE_TIMEOUT)
        self.assertTrue(self.closed(connection))

    def test_a_client_that_does_not_read(self) -> None:
        connection = self.connect()
        connection.send(GET + GET)
        self.assertTrue(self.closed(connection))
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(connection.transport.disconnected)

    def test_leaving_at_any_time(self) -> None:
        whole = POST + b"Content-Length: 2\r\n\r\n{}"
        for length in range(len(whole) + 1):
            connection = self.connect()
            connection.send(whole[:length])
            connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.system.site.connections, set())

    def test_many_connections(self) -> None:
        """The one that has waited longest without a request is closed for a new one; those with a request stay."""
        limits = ConnectionLimits(4)
        self.system = running(self, NoAuth(), connection_limits=limits)
        connections = [Connection(self.system.site, peer=f"10.0.0.{at}") for at in range(4)]
        connections[0].send(POST + b"Content-Length: 2\r\n\r\n")  # its head is there
        connections[1].send(GET)  # answered, and waiting for the next one
        self.assertIsNotNone(Connection(self.system.site, peer="10.0.1.1").protocol)
        self.assertEqual([one.transport.disconnected for one in connections], [False, False, True, False])
        for at in (3, 1):
            Connection(self.system.site, peer=f"10.0.2.{at}")
            self.assertTrue(connections[at].transport.disconnected)
        self.assertFalse(connections[0].transport.disconnected)
        self.assertEqual(len(limits), 4)

    def test_bodies_that_never_come(self) -> None:
        """Requests without their bodies take nobody's place; one that is being answered stays."""
        self.system = running(self, NoAuth(), connection_limits=ConnectionLimits(4))
        connections = [Connection(self.system.site, peer=f"10.0.0.{at}") for at in range(4)]
        for connection in connections:
            connection.send(POST + b"Content-Length: 2\r\n\r\n{")
        other = Connection(self.system.site, peer="10.0.1.1")
        other.send(GET)
        self.assertEqual(len(other.answers()), 1)
        self.assertEqual([one.transport.disconnected for one in connections], [True, False, False, False])

    def test_one_client_keeps_nobody_out(self) -> None:
        """Silent connections of one client cost others nothing; trusted proxies speak for many."""
        for trusted, places in (((), 10), (["10.0.0.1"], 20)):
            limits = ConnectionLimits(20, trusted=networks(trusted))
            self.system = running(self, NoAuth(), connection_limits=limits)
            for _ in range(100):
                Connection(self.system.site, peer="10.0.0.1")
            self.assertEqual(len(limits), places)
        other = Connection(self.system.site, peer="10.0.0.2")
        other.send(GET)
        self.assertEqual(len(other.answers()), 1)

    def test_without_limits(self) -> None:
        """A site that is given none has its own, and reports what it refuses once."""
        log = Logged(self)
        self.system = running(self, NoAuth())
        for at in range(MAX_CONNECTIONS + 10):
            Connection(self.system.site, peer=f"10.0.{at >> 8}.{at & 255}")
        self.assertEqual(len(self.system.site.connection_limits), MAX_CONNECTIONS)
        self.assertEqual(len(log.lines("all 1000 connections are in use")), 10, "each of another address")
        self.system.site.stopFactory()

    def test_the_end_of_listening(self) -> None:
        connection = self.connect()
        connection.send(GET)
        self.system.site.stopFactory()
        self.assertTrue(self.closed(connection))


class LogTests(SynchronousTestCase):
    def test_no_secret(self) -> None:
        system = running(self, NoAuth(), FakeHost("host1", instance("one")))
        log = io.StringIO()
        observer = FilteringLogObserver(textFileLogObserver(log), [])
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/v2.1/servers/{uuid_of('one')}/remote-consoles"
        url = system.post(path, body, OpenStack_API_Version="compute 2.6").body["remote_console"]["url"]
        token = url.partition("token=")[2]
        for target in (
            f"/v2.1/os-console-auth-tokens/{token}",
            f"/v2.1/p/os-console-auth-tokens/{token}/x",
            f"/v2/os-console-auth-tokens//{token}",
            f"/v2.1/os%2Dconsole-auth-tokens/{token}",
            f"/v2.1/servers?token={token}",
            f"/else/token={token}",
        ):
            system.get(target, X_Auth_Token=token, Authorization=f"Basic {token}", Referer=f"http://x/?token={token}")
        self.assertIn("POST /v2.1/servers/", log.getvalue())
        self.assertNotIn(token, log.getvalue())

    def test_loggable(self) -> None:
        for path, shown in (
            (b"/v2.1/servers", "/v2.1/servers"),
            (b"/v2.1/os-console-auth-tokens/abc", "/v2.1/os-console-auth-tokens/***"),
            (b"/a\x1b[31m\xff", "/a?[31m?"),
        ):
            self.assertEqual(loggable(path, SECRET_BELOW).replace("\ufffd", "?"), shown)
        self.assertLessEqual(len(loggable(b"/" + b"x" * 9999)), 300)

    def test_who_came(self) -> None:
        """The client that a trusted proxy names, else the peer."""
        log = Logged(self)
        system = running(self, NoAuth(), trusted_proxies=["10.0.0.1"])
        for peer in ("10.0.0.1", "10.0.0.2"):
            system.peer = peer
            system.get("/v2.1", X_Forwarded_For="192.0.2.7")
        self.assertTrue(log.lines("192.0.2.7 GET /v2.1 403"))
        self.assertTrue(log.lines("10.0.0.2 GET /v2.1 403"))

    def test_who_came_with_a_port(self) -> None:
        """What a trusted proxy writes is read, or the client is unknown, with one warning in a minute."""
        log = Logged(self)
        system = running(self, NoAuth(), trusted_proxies=["10.0.0.1"])
        system.peer = "10.0.0.1"
        system.get("/v2.1", X_Forwarded_For='"[2001:db8::7]:51008"')
        self.assertTrue(log.lines("2001:db8::7 GET /v2.1 403"))
        for _ in range(3):
            system.get("/v2.1", X_Forwarded_For="198.51.100.1, unix:")
        self.assertEqual(len(log.lines("unknown GET /v2.1 403")), 3)
        (warning,) = log.lines("'198.51.100.1, unix:' as X-Forwarded-For")
        self.assertIn("10.0.0.1", warning)
        system.reactor.advance(60)
        system.get("/v2.1", X_Forwarded_For="")
        self.assertEqual(len(log.lines("as X-Forwarded-For")), 2)
