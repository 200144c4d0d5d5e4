"""Requests as applications see them, and how they are read from the wire."""

import sys
from types import FrameType
from typing import Any

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http import HTTPError, Request
from novnc_twisted.http.json_body import MAX_DEPTH, read_json
from tests.http.harness import Answer, Connection, EchoSite, parse_all


class RequestTests(SynchronousTestCase):
    def status(self, call: Any, *arguments: Any) -> int:
        return self.assertRaises(HTTPError, call, *arguments).status

    def test_header(self) -> None:
        request = Request(method="GET", segments=(), headers={"a": ["1"], "b": ["1", "2"]})
        self.assertEqual([request.header("a"), request.header("c")], ["1", None])
        self.assertEqual(self.status(request.header, "b"), 400)

    def test_parameter(self) -> None:
        request = Request(method="GET", segments=(), query={"a": ["1", "2"], "b": [""]})
        self.assertEqual([request.parameter(name) for name in "abc"], ["2", "", None])

    def test_base_url(self) -> None:
        request = Request(method="GET", segments=(), scheme="https", host="api.example:1", prefix="/cloud")
        self.assertEqual(request.base_url, "https://api.example:1/cloud")

    def test_content_types(self) -> None:
        for content_type, media_types, is_read in (
            (None, (), True),
            ("", (), True),
            ("application/json; charset=utf-8", (), True),
            ("TEXT/PLAIN", (), True),
            ("text/html", (), False),
            ("application/vnd.example+json", (), False),
            ("application/vnd.example+json", ("application/vnd.example+json",), True),
        ):
            headers = {} if content_type is None else {"content-type": [content_type]}
            request = Request(method="POST", segments=(), headers=headers, body=b"[1]")
            if is_read:
                self.assertEqual(request.json(*media_types), [1], content_type)
            else:
                self.assertEqual(self.status(request.json, *media_types), 415, content_type)

    def test_no_secret_in_the_repr(self) -> None:
        request = Request(method="POST", segments=(), headers={"x-auth-token": ["s3cret"]}, body=b"s3cret")
        self.assertNotIn("s3cret", repr(request))

    def test_depth_of_a_body(self) -> None:
        for text in (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b'"' + b"[" * 99 + b'"', b'{"a":' * 32 + b"1" + b"}" * 32):
            read_json(text)
        for text in (
            b"[" * 33 + b"]" * 33,
            b"[{" * 17 + b"}]" * 17,
            b"[" * 100_000,
            b'["\\""' + b",[" * 33 + b"]" * 34,
        ):
            self.assertEqual(self.status(read_json, text), 400)

    def test_many_brackets(self) -> None:
        """No line of Python runs for each bracket: else a body of 1 MiB would keep the server busy for a second."""
        for text in (b"[" * 10_000, b"[" + b"[]," * 10_000 + b"{}]", b'{"a":' * 10_000):
            lines = 0

            def count(frame: FrameType, event: str, _: object) -> Any:
                nonlocal lines
                lines += event == "line"
                return count if frame.f_code.co_filename == read_json.__code__.co_filename else None

            before = sys.gettrace()
            sys.settrace(count)
            try:
                read_json(text)
            except HTTPError:
                pass
            finally:
                sys.settrace(before)
            self.assertIn(lines, range(1, 200))

    def test_what_is_not_json(self) -> None:
        for text in (b"", b"{", b"NaN", b"-Infinity", b"1e999", b"\xff", b"{'a': 1}", b"\xef\xbb\xbf1"):
            self.assertEqual(self.status(read_json, text), 400)


class ReadingTests(SynchronousTestCase):
    def ask(self, head: bytes, *, trusted: bool = False) -> Answer:
        connection = Connection(EchoSite(trusted=["127.0.0.1"] if trusted else []))
        connection.send(head + b"\r\n\r\n")
        (answer,) = connection.answers()
        return answer

    def test_the_host(self) -> None:
        """The host of an absolute target overrides the Host field; HTTP/1.0 needs neither."""
        for head, url in (
            (b"GET /a/b HTTP/1.1\r\nHost: x.example:1", "http://x.example:1/a/b"),
            (b"GET http://y.example/a HTTP/1.1\r\nHost: x.example", "http://y.example/a"),
            (b"GET HTTP://[2001:db8::1]:8774 HTTP/1.1\r\nHost: x.example", "http://[2001:db8::1]:8774"),
            (b"GET /a HTTP/1.0", "http://127.0.0.1:8774/a"),
            (b"GET http://y.example/a HTTP/1.0", "http://y.example/a"),
        ):
            self.assertEqual(self.ask(head).body["url"], url, head)

    def test_malformed_hosts(self) -> None:
        for head in (
            b"GET /a HTTP/1.1",
            b"GET /a HTTP/1.1\r\nHost: x\r\nHost: x",
            b"GET /a HTTP/1.0\r\nHost: a b",
            b"GET http://a@b/ HTTP/1.1\r\nHost: x",
            b"GET http:/// HTTP/1.1\r\nHost: x",
        ):
            self.assertEqual(self.ask(head).status, 400, head)

    def test_local_addresses(self) -> None:
        for address, url in (
            (IPv6Address("TCP", "::1", 8774), "http://[::1]:8774/a"),
            (UNIXAddress("/run/api"), "http://localhost/a"),
        ):
            site, transport = EchoSite(), StringTransport(hostAddress=address, peerAddress=address)
            protocol = site.buildProtocol(address)
            protocol.makeConnection(transport)
            protocol.dataReceived(b"GET /a HTTP/1.0\r\n\r\n")
            (answer,) = parse_all(transport.value())
            self.assertEqual(answer.body["url"], url)

    def test_segments_and_query(self) -> None:
        body = self.ask(b"GET /a%2Fb/c/?x=1&x=&y=%20 HTTP/1.1\r\nHost: h").body
        self.assertEqual((body["url"], body["query"]), ("http://h/a/b/c", {"x": ["1", ""], "y": [" "]}))

    def test_fields_of_trusted_proxies(self) -> None:
        head = (
            b"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Prefix: /cloud"
        )
        body = self.ask(head, trusted=True).body
        self.assertEqual((body["url"], body["client"]), ("https://h/cloud/a", "192.0.2.7"))
        body = self.ask(head).body
        self.assertEqual((body["url"], body["client"]), ("http://h/a", "127.0.0.1"))
