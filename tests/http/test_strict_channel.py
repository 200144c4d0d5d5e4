"""Requests that are refused, and the limits of those that are accepted."""

import random

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.channel import IDLE_TIMEOUT, REQUEST_TIMEOUT
from novnc_twisted.http.strict_channel import CLOSE_TIMEOUT, MAX_DRAINED
from novnc_twisted.http.wire_request import MAX_BODY
from tests.http.harness import Connection, EchoSite

GET = b"GET /some/path HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /some/path HTTP/1.1\r\nHost: localhost\r\n"


class StrictChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = EchoSite()
        self.clock = self.site.clock

    def connect(self) -> Connection:
        return Connection(self.site)

    def refused(self, status: int, *pieces: bytes) -> Connection:
        """Assert that there is one response, with ``Connection: close``."""
        connection = self.connect()
        for piece in pieces:
            connection.send(piece)
        (answer,) = connection.answers()
        self.assertEqual((answer.status, answer["connection"]), (status, "close"))
        self.assertEqual(answer["content-type"], "application/json; charset=UTF-8")
        return connection

    def closed(self, connection: Connection) -> bool:
        return bool(connection.transport.disconnecting)

    def test_a_byte_at_a_time(self) -> None:
        connection = self.connect()
        for index in range(len(GET)):
            connection.send(GET[index : index + 1])
        self.assertEqual([answer.status for answer in connection.answers()], [200])
        self.assertFalse(self.closed(connection))

    def test_one_after_the_other(self) -> None:
        connection = self.connect()
        for count in (1, 2, 3):
            connection.send(GET)
            self.assertEqual(len(connection.answers()), count)
        self.assertFalse(self.closed(connection))

    def test_no_pipelining(self) -> None:
        body = b"Content-Length: 2\r\n\r\n{}"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        for first in (GET, POST + body, POST + chunked):
            connection = self.connect()
            connection.send(first + GET)
            (answer,) = connection.answers()
            self.assertEqual(answer["connection"], "close")
            self.assertTrue(self.closed(connection))
            connection.send(GET)
            self.assertEqual(len(connection.answers()), 1)

    def test_mutated_requests(self) -> None:
        """Any input is answered, or the connection is closed: no exception, no traceback, no timer left."""
        chance = random.Random(20)
        seeds = (
            GET,
            b"GET /some/path?limit=1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n",
            POST + b'Content-Length: 37\r\n\r\n{"os-getVNCConsole":{"type":"novnc"}} ',
            POST + b'Transfer-Encoding: chunked\r\n\r\nA\r\n{"os-getVN\r\n1\r\n}\r\n0\r\n\r\n',
        )
        scraps = (
            b"\r\n",
            b"\0",
            b"%00",
            b"\xff",
            b"9" * 30,
            b"{",
            b"[",
            b'"',
            b"Content-Length: 3\r\n",
            b"Host: x\r\n",
        )
        for _ in range(1500):
            data = bytearray(chance.choice(seeds))
            for _ in range(chance.choice((1, 1, 2, 4, 8))):
                place, kind = chance.randrange(len(data)), chance.randrange(4)
                if kind == 0:
                    data[place] = chance.randrange(256)
                elif kind == 1:
                    del data[place : place + chance.randrange(8)]
                elif kind == 2:
                    data[place:place] = chance.choice(scraps)
                else:
                    data[place:place] = data[:place]
            connection, sent = self.connect(), 0
            while sent < len(data):
                step = chance.choice((1, 5, 50, 1000))
                connection.send(bytes(data[sent : sent + step]))
                sent += step
            connection.answers()
            connection.protocol.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(self.clock.getDelayedCalls(), [], data)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_pipelined_while_one_is_answered(self) -> None:
        connection = self.connect()
        connection.send(GET.replace(b"/some/path", b"/wait"))
        for _ in range(1000):
            connection.send(GET)
        self.assertEqual(connection.answers(), [])
        self.site.application.silent.callback(None)
        self.assertEqual([answer.status for answer in connection.answers()], [200])
        self.assertTrue(self.closed(connection))

    def test_ambiguous_lengths(self) -> None:
        for lines in (
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nContent-Length: 2\r\n",
            b"Content-Length: 2\r\nContent-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Content-Length: +2\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: 0x2\r\n",
            b"Content-Length: " + b"9" * 5000 + b"\r\n",
            b"Content-Length : 2\r\n",
        ):
            # In one piece, and with further pieces after the refusal.
            self.assertTrue(self.closed(self.refused(400, POST + lines + b"\r\n{}")), lines)
            self.refused(400, POST, lines + b"A: b\r\n", b"\r\n0\r\n\r\n", GET)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_bad_chunks(self) -> None:
        for chunk in (b"x\r\n", b"-2\r\n{}", b"+2\r\n{}", b"2\r\n{}x", b"1" * 2000, b"0x2\r\n{}"):
            self.refused(400, POST + b"Transfer-Encoding: chunked\r\n\r\n", chunk, b"\r\n" * 20)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_bad_heads(self) -> None:
        for head in (
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1 x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
            b"GET / HTTP/1.1\r\n(: x\r\n\r\n",
        ):
            self.refused(400, head)

    def test_bad_targets_and_hosts(self) -> None:
        for target, host in (
            (b"*", b"localhost"),
            (b"http://user@localhost/v2.1", b"localhost"),
            (b"http:///v2.1", b"localhost"),
            (b"http://local\xffhost/v2.1", b"localhost"),
            (b"http://<script>/v2.1", b"localhost"),
            (b"http://localhost/v2.1", b"<script>"),
            (b"ftp://localhost/v2.1", b"localhost"),
            (b"localhost:8774", b"localhost"),
            (b"x", b"localhost"),
            (b"/\xff", b"localhost"),
            (b"/v2.1?" + b"a=1&" * 101, b"localhost"),
            (b"/v2.1", b"local host"),
            (b"/v2.1", b"<script>"),
            (b"/v2.1", b"user@localhost"),
            (b"/v2.1", b"localhost/x"),
            (b"/v2.1", b"localhost\r\nHost: localhost"),
        ):
            connection = self.connect()
            connection.send(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host))
            (answer,) = connection.answers()
            self.assertEqual(answer.status, 400, (target, host))
            self.assertNotIn(b"script", answer.raw)

    def test_long_heads(self) -> None:
        self.refused(431, b"GET /" + b"a" * 20_000)
        self.refused(431, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n")
        self.refused(431, b"GET / HTTP/1.1\r\nA: " + b"a" * 20_000)
        self.refused(431, b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: %b\r\n" % (n, b"b" * 500) for n in range(60)))
        self.refused(400, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200)

    def test_big_bodies(self) -> None:
        connection = self.refused(413, POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1))
        self.assertEqual(connection.answers()[0].body, {"error": "Request is too large."})
        # A body that the client sends nevertheless is dropped, so that the client can read the reason.
        for _ in range(MAX_BODY // 65536 + 1):
            connection.send(b"x" * 65536)
        self.assertFalse(self.closed(connection))
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(self.closed(connection))

    def test_big_bodies_in_chunks(self) -> None:
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        pieces = [chunk] * (MAX_BODY // 65536 + 2)
        connection = self.refused(413, POST + b"Transfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n" + GET)
        self.assertLessEqual(connection.protocol.requests[0].content.tell(), MAX_BODY)

    def test_endless_bodies(self) -> None:
        connection = self.refused(413, POST + b"Content-Length: 999999999999\r\n\r\n")
        sent = 0
        while not connection.transport.disconnecting:
            connection.send(b"x" * 65536)
            sent += 65536
        self.assertLessEqual(sent, MAX_DRAINED + 65536)

    def test_the_largest_body(self) -> None:
        connection = self.connect()
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % MAX_BODY)
        self.assertEqual(connection.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(b" " * MAX_BODY)
        self.assertEqual([answer.status for answer in connection.answers()], [400])
        self.assertFalse(self.closed(connection))

    def test_slow_requests(self) -> None:
        """The deadline is for the whole request, even if a byte arrives each second."""
        for start in (b"", b"GET / HTTP/1.1\r\nA: ", POST + b"Content-Length: 1000\r\n\r\n"):
            connection = self.connect()
            if start:
                connection.send(start)
            for _ in range(int(REQUEST_TIMEOUT)):
                self.assertFalse(self.closed(connection))
                connection.send(b"x")
                self.clock.advance(1)
            self.assertTrue(self.closed(connection))
            self.assertEqual(connection.answers(), [])
            connection.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_slow_second_request(self) -> None:
        connection = self.connect()
        connection.send(GET)
        self.clock.advance(IDLE_TIMEOUT - 20)
        connection.send(GET[:10])
        self.clock.advance(REQUEST_TIMEOUT - 1)
        self.assertFalse(self.closed(connection))
        self.clock.advance(1)
        self.assertTrue(self.closed(connection))
