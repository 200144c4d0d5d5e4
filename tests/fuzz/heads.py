"""HTTP heads: requests, the WebSocket upgrade, the reply to the proxy's CONNECT."""

import base64
import hashlib
import re

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from novnc_twisted.access.request_head import (
    HEAD_LIMIT,
    BadHead,
    HeadBuffer,
    HeadTooBig,
    RequestHead,
    read_request,
    read_status,
)
from novnc_twisted.errors import ConsoleUnreachable, MessageTooBig, Refusal
from novnc_twisted.novncproxy.handshake import SUBPROTOCOL, HandshakeFailed, Handshaker
from novnc_twisted.relay.interfaces import IEnd, IReceiver
from novnc_twisted.session.handshake_channel import HOLD_LIMIT, HandshakeChannel
from novnc_twisted.session.upstream.access_path import request_access_path

from .tools import Target, broken, cuttings, fits_a_log, holds, same

LIMITS = (HEAD_LIMIT, 64)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def gather(chunks: list[bytes], limit: int) -> tuple[bytes | None, bytes, bool]:
    """The head, what follows it, and whether it was too big."""
    buffer = HeadBuffer(limit)
    for number, chunk in enumerate(chunks):
        try:
            head = buffer.receive(chunk)
        except HeadTooBig as error:
            fits_a_log(str(error), 200, "the error")
            holds(buffer.empty, "keeps a big head")
            return None, b"", True
        if head is not None:
            holds(len(head) <= limit, "a head over the limit", len(head))
            return head, buffer.rest + b"".join(chunks[number + 1 :]), False
    return None, b"", False


def run_request(data: bytes) -> None:
    """First byte: the limit; the rest: a client's stream."""
    if not data:
        return
    limit, wire = LIMITS[data[0] & 1], data[1:]
    head, rest, too_big = gather([wire], limit)
    for chunks in cuttings(wire):
        same(gather(chunks, limit), (head, rest, too_big), "the head")
    ends = [match.end() for match in re.finditer(rb"\n\r?\n", wire)]
    same(too_big, min(ends, default=len(wire)) > limit, "whether it is too big")
    if not too_big:
        same(head, wire[: ends[0]] if ends else None, "the head")
    if head is None:
        return
    same(head + rest, wire, "head and rest")
    read = parsed(head)
    if read is None:
        return
    holds(_TOKEN.fullmatch(read.method), "an invalid method", read.method)
    holds(read.target.isascii() and read.target.isprintable() and " " not in read.target, "a bad target", read.target)
    for name, value in read.fields:
        holds(_TOKEN.fullmatch(name) and name == name.lower(), "an invalid field name", name)
        holds(
            all(one in "\t" or ord(one) >= 0x20 for one in value) and "\x7f" not in value, "control characters", value
        )
        holds(value == value.strip(" \t"), "an invalid field value", value)
    lines = [f"{read.method} {read.target} HTTP/1.{read.minor}", *(f"{name}: {value}" for name, value in read.fields)]
    same(parsed("\r\n".join([*lines, "", ""]).encode("latin-1")), read, "the head that was written again")
    holds(b"\n " not in head and b"\n\t" not in head, "a folded line is accepted", head)
    for name, _ in read.fields:
        one = read.one(name)
        same(one, read.all(name)[0] if len(read.all(name)) == 1 else None, "the only value")
        holds(all(part and part == part.strip(" \t").lower() for part in read.lists(name)), "an invalid list", name)


def parsed(head: bytes) -> RequestHead | None:
    """The head; None if it is refused."""
    try:
        return read_request(head)
    except BadHead as error:
        fits_a_log(str(error), 200, "the error")
        return None


_REPLY = re.compile(
    rb"HTTP/1\.1 101 Switching Protocols\r\n((?:[A-Za-z-]+: [ -~]+\r\n)+)\r\n",
)


def run_upgrade(data: bytes) -> None:
    """A browser's head: the answer is a refusal, or a 101 as in RFC 6455, section 4.2.2."""
    read = parsed(data)
    if read is None:
        return
    try:
        # A new one each time: it remembers replies, and the result must not depend on earlier inputs.
        handshaker = Handshaker(Clock())
        reply = handshaker.accept(read).response
        same(handshaker.accept(read).response, reply, "the remembered answer")
    except HandshakeFailed as error:
        holds(str(error), "a refusal without a reason")
        return
    match = _REPLY.fullmatch(reply)
    holds(match is not None, "an invalid reply", reply)
    assert match is not None  # for the type checker
    fields = [line.split(b": ", 1) for line in match[1].split(b"\r\n")[:-1]]
    names = [name.lower() for name, _ in fields]
    same(len(names), len(set(names)), "the number of different fields")
    found = {name.lower(): value for name, value in fields}
    same(read.method, "GET", "the method")
    holds("websocket" in read.lists("upgrade"), "no upgrade was asked for")
    holds("upgrade" in read.lists("connection"), "the connection was not to be upgraded")
    same(read.all("sec-websocket-version"), ["13"], "the version")
    key = read.one("sec-websocket-key")
    holds(key is not None, "no key, or several")
    assert key is not None  # for the type checker
    answer = base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID).digest())
    same(found.get(b"sec-websocket-accept"), answer, "the answer to the key")
    holds(b"sec-websocket-extensions" not in found, "an extension was accepted")
    asked = [part.strip() for value in read.all("sec-websocket-protocol") for part in value.split(",")]
    chosen = SUBPROTOCOL.encode() if SUBPROTOCOL in asked else None
    same(found.get(b"sec-websocket-protocol"), chosen, "the subprotocol")


@implementer(IEnd)
class MemoryEnd:
    """An IEnd that keeps what is written and put back."""

    peer, bytes_in, bytes_out, heard_at = "192.0.2.1:1", 0, 0, 0.0

    def __init__(self) -> None:
        self.written = b""
        self.back: bytes | None = None

    def attach(self, receiver: IReceiver) -> None:
        """See IEnd."""

    def write(self, data: bytes) -> None:
        """See IEnd."""
        self.written += data

    def give_back(self, data: bytes) -> None:
        """See IEnd."""
        self.back = data

    def pause_reading(self) -> None:
        """See IEnd."""

    def resume_reading(self) -> None:
        """See IEnd."""

    def close(self, cause: Refusal) -> None:
        """See IEnd."""

    def closed(self) -> Deferred[None]:
        """See IEnd."""
        return Deferred()


PATHS = ("/console?uuid=1", "/a b", "", "/é", "/x\r\nHost: y", "/" + "a" * 1023, "/" + "a" * 1024)


def request_path(path: str, chunks: list[bytes]) -> tuple[str, bytes, bytes]:
    """The result ("", "open", "lost" or a refusal's detail), what was sent, and what is left for RFB."""
    end, lost, ended = MemoryEnd(), list[Refusal](), list[object]()
    channel = HandshakeChannel(end, lost.append)
    Deferred.fromCoroutine(request_access_path(channel, path)).addBoth(ended.append)
    for chunk in chunks:
        channel.data_received(chunk)
        if lost:
            holds(isinstance(lost[0], MessageTooBig), "another cause", lost)
            return "lost", end.written, b""
    if not ended:
        return "", end.written, b""
    if ended == [None]:
        channel.release()
        holds(end.back is not None and len(end.back) <= HOLD_LIMIT + HEAD_LIMIT, "holds too much")
        return "open", end.written, end.back or b""
    (failure,) = ended
    error = getattr(failure, "value", None)
    if not isinstance(error, ConsoleUnreachable):
        broken("another refusal than documented", error)
    fits_a_log(error.detail, 300, "the detail")
    return error.detail, end.written, b""


def run_access_path(data: bytes) -> None:
    """First byte: the path; the rest: the reply to CONNECT, and RFB."""
    if not data:
        return
    path, wire = PATHS[data[0] % len(PATHS)], data[1:]
    how, sent, left = request_path(path, [wire] if wire else [])
    for chunks in cuttings(wire):
        same(request_path(path, [chunk for chunk in chunks if chunk]), (how, sent, left), "the outcome")
    bad = not re.fullmatch(r"[!-~]{1,1024}", path)
    same(sent, b"" if bad else f"CONNECT {path} HTTP/1.1\r\n\r\n".encode(), "what was sent")
    end = re.search(rb"\n\r?\n", wire)
    if how == "open":
        assert end is not None  # for the type checker
        holds(re.match(rb"HTTP/1\.[0-9] 200[ \r\n]", wire), "no 200", wire)
        same(left, wire[end.end() :], "what is left")
        same(read_status(wire[: end.end()]), 200, "the status")
    elif how == "":
        holds(not bad and end is None, "still waits", wire)


UPGRADE = (
    b"GET /?token=11111111-2222-3333-4444-555555555555 HTTP/1.1\r\n",
    b"Host: 127.0.0.1:6080\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Protocol: binary, base64\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    b"Origin: http://127.0.0.1:6080\r\n",
    b'Cookie: token=1; a="b"\r\n',
    b"X-Forwarded-For: 192.0.2.1, [2001:db8::1]\r\n",
    b"\r\n",
)

TARGETS = (
    Target("http-request", run_request, 512, (*UPGRADE, b"CONNECT /console?token=T HTTP/1.0\r\n", b"\n\n", b": ")),
    Target("http-upgrade", run_upgrade, 768, (*UPGRADE, b": ", b", ")),
    Target(
        "access-path",
        run_access_path,
        256,
        (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 407 Who?\r\n", b"A: b\r\n", b"\r\n", b"RFB 003.008\n"),
    ),
)
