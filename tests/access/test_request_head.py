"""HTTP heads: limits, strictness, and the same result for pieces of any size."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access.request_head import (
    HEAD_LIMIT,
    BadHead,
    HeadBuffer,
    HeadTooBig,
    RequestHead,
    read_request,
    read_status,
)

HEAD = b"GET /a?b=c%20d HTTP/1.1\r\nHost: h\r\nX-Y:  a, B \r\nx-y: c\r\nEmpty:\r\n\r\n"


class HeadBufferTests(SynchronousTestCase):
    @given(body=st.binary(max_size=50), cuts=st.lists(st.integers(0, 120), max_size=8))
    @settings(deadline=None, max_examples=100)
    def test_any_chunking(self, body: bytes, cuts: list[int]) -> None:
        data = HEAD + body
        edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
        buffer = HeadBuffer()
        for start, end in pairwise(edges):
            head = buffer.receive(data[start:end])
            if head is not None:
                self.assertEqual(head, HEAD)
                self.assertEqual(buffer.rest + data[end:], body)
                return
        self.fail("no head")

    def test_bare_line_feeds(self) -> None:
        """All lines of a head must end alike: a parser that accepts only CRLF would see another head."""
        for head in (b"CONNECT /x HTTP/1.0\n\n", b"CONNECT /x HTTP/1.0\r\n\n", b"CONNECT /x HTTP/1.0\n\r\n"):
            buffer = HeadBuffer()
            self.assertEqual(buffer.receive(head + b"rest"), head)
            self.assertEqual(buffer.rest, b"rest")
            if b"\r" in head:
                self.assertRaises(BadHead, read_request, head)
            else:
                self.assertEqual(read_request(head).target, "/x")

    def test_the_limit(self) -> None:
        buffer = HeadBuffer()
        self.assertIsNone(buffer.receive(bytes(HEAD_LIMIT)))
        self.assertRaises(HeadTooBig, buffer.receive, b"x")
        self.assertRaises(HeadTooBig, HeadBuffer().receive, b"x" * HEAD_LIMIT + b"\r\n\r\n")
        self.assertRaises(HeadTooBig, HeadBuffer().receive, bytes(2_000_000))
        exact = b"x" * (HEAD_LIMIT - 4) + b"\r\n\r\n"
        self.assertEqual(HeadBuffer().receive(exact + b"more"), exact)


class RequestTests(SynchronousTestCase):
    def test_a_request(self) -> None:
        head = read_request(HEAD)
        self.assertEqual((head.method, head.target, head.minor), ("GET", "/a?b=c%20d", 1))
        self.assertEqual((head.one("host"), head.one("x-y"), head.one("none")), ("h", None, None))
        self.assertEqual(
            (head.all("x-y"), head.lists("x-y"), head.all("empty")), (["a, B", "c"], ["a", "b", "c"], [""])
        )

    def test_the_requests_of_the_java_viewer(self) -> None:
        self.assertEqual(
            read_request(b"CONNECT /console?token=abc HTTP/1.0\r\n\r\n"),
            RequestHead("CONNECT", "/console?token=abc", 0),
        )

    def test_absolute_form(self) -> None:
        for target, host, path in (
            (b"http://h/a?b#", None, None),
            (b"http://h/a?b", "h", "/a?b"),
            (b"HTTPS://[::1]:6080", "[::1]:6080", "/"),
            (b"http://h?token=T", "h", "/?token=T"),
            (b"http://user@h/", "user@h", "/"),
            (b"http:///a", "", "/a"),
            (b"ftp://h/a", "old", "ftp://h/a"),
            (b"*", "old", "*"),
        ):
            head = read_request(b"GET " + target + b" HTTP/1.1\r\nHost: old\r\n\r\n")
            if path is None:
                self.assertEqual((head.one("host"), head.target), ("old", target.decode()))
            else:
                self.assertEqual((head.one("host"), head.target), (host, path))
        twice = read_request(b"GET http://h/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertEqual(twice.all("host"), ["h", "h"], "both stay, so that the request can be refused")

    def test_invalid_requests(self) -> None:
        for head in (
            b"",
            b"\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"G\xe9T / HTTP/1.1\r\n\r\n",
            b"GET /\xe9 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            b"GET / HTTP/1.1\r\n: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
            b"GET / HTTP/1.1\nHost: h\r\nX: y\n\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        ):
            self.assertRaises(BadHead, read_request, head)

    def test_control_characters(self) -> None:
        """They are refused, because some parsers treat \\v, \\f and the ASCII separators as line ends or spaces."""
        for code in {*range(32), 127} - set(b"\t\r\n"):
            head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close,%cUpgrade\r\n\r\n" % code
            self.assertRaises(BadHead, read_request, head)
            self.assertRaises(BadHead, read_status, b"HTTP/1.1 200 O%cK\r\n\r\n" % code)

    def test_only_space_and_tab_are_space(self) -> None:
        head = read_request(b"GET / HTTP/1.1\r\nA: \xa0b ,\t\x85c, ,\xc3\xa9\r\n\r\n")
        self.assertEqual(head.lists("a"), ["\xa0b", "\x85c", "\xe3\xa9"])

    def test_a_long_run_of_spaces(self) -> None:
        # With quadratic run time, this would take more than a day.
        head = read_request(b"GET / HTTP/1.1\r\nA: \t x" + b" " * (1 << 20) + b"y \r\n\r\n")
        self.assertEqual(head.one("a"), "x" + " " * (1 << 20) + "y")

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        for read in (read_request, read_status):
            try:
                read(data)
            except BadHead:
                continue


class StatusTests(SynchronousTestCase):
    def test_valid_status_lines(self) -> None:
        for line, status in {
            b"HTTP/1.1 200 OK": 200,
            b"HTTP/1.0 200 Connection established": 200,
            b"HTTP/1.1 200": 200,
            b"HTTP/1.1 404 200": 404,
        }.items():
            self.assertEqual(read_status(line + b"\r\nX: 200\r\n\r\n"), status)

    def test_invalid_status_lines(self) -> None:
        for line in (
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 20",
            b"HTTP/1.1  200",
            b"HTTP/2 200 OK",
            b"200 OK",
            b"RFB 003.008",
        ):
            self.assertRaises(BadHead, read_status, line + b"\r\n\r\n")
