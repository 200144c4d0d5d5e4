"""The RFB handshake on both sides: with a hostile VNC server, and with a hostile viewer."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from novnc_twisted.errors import TABLE, ConsoleUnreachable, ProtocolViolation, Refusal
from novnc_twisted.rfb.constants import LIMIT, MAX_NAME, MAX_REASON, MAX_SIDE
from novnc_twisted.rfb.handshake import Handshake, HandshakeDriver
from novnc_twisted.rfb.login import login
from novnc_twisted.rfb.offer import offer, refuse
from novnc_twisted.rfb.security.vnc import response

from .tools import Target, cuttings, fits_a_log, holds, same

PASSWORDS = (None, "", "secret", "päßwörtchen")
SCHEMES = (
    ("none", "vnc"),
    ("none",),
    ("vnc",),
    ("vnc", "none"),
    ("vencrypt",),
    ("vencrypt", "vnc", "none"),
    ("none", "vencrypt"),
    ("vnc", "vencrypt"),
)
SUBTYPES = (("X509None", "X509Vnc"), ("TLSVnc", "TLSNone", "X509None", "X509Vnc"))
LIMITS = (LIMIT, 64)
NUMBERS = {"none": 1, "vnc": 2, "vencrypt": 19}
LONGEST_DETAIL = 1500
ALONE = 1024
"""Bytes that are fed one by one, so that TLS can begin between any two of them."""

_UNASKED = re.compile("[0-9]+ bytes came unasked")  # the number depends on the chunk that exceeded the limit


class Held(NamedTuple):
    """The result of a handshake, in a form that can be compared."""

    done: bool
    result: Any
    error: type[Refusal] | None
    detail: str
    rest: bytes
    waiting_for: str
    sent: bytes


class Seen:
    """What happened during a handshake."""

    def __init__(self) -> None:
        self.asked = 0
        self.tls_at: int | None = None
        """Bytes that the peer had sent when TLS was started."""


def run(
    handshake: Handshake[Any],
    chunks: Iterable[bytes],
    *,
    password: str | None = None,
    limit: int = LIMIT,
    tls: bool = True,
) -> tuple[Held, Seen]:
    """Run a handshake with these chunks; questions are answered at once, and TLS starts unless ``tls`` is False."""
    seen = Seen()
    driver = HandshakeDriver(handshake, limit)
    driver.start()
    sent, came = driver.to_send(), 0
    for chunk in chunks:
        driver.receive(chunk)
        came += len(chunk)
        while driver.asks is not None or (tls and driver.starts_tls is not None):
            if driver.asks is not None:
                same(driver.asks.what, "password", "what is asked")
                seen.asked += 1
                driver.answer(password)
            else:
                seen.tls_at = came
                driver.tls_started()
        sent += driver.to_send()
        holds(len(driver.rest) <= limit + len(chunk), "holds too much", len(driver.rest))
    error = driver.error
    holds(driver.error is None or driver.done, "failed and goes on")
    holds(driver.error is None or driver.result is None, "failed and has a result")
    held = Held(
        driver.done,
        driver.result,
        None if error is None else type(error),
        "" if error is None else _UNASKED.sub("many bytes came unasked", error.detail),
        driver.rest,
        driver.waiting_for,
        sent,
    )
    return held, seen


def at_any_cutting(
    make: Callable[[], Handshake[Any]], wire: bytes, password: str | None, limit: int
) -> tuple[Held, Seen]:
    """Check that chunks make no difference, but that no byte may follow the last message before TLS in its chunk."""
    pieces = [wire[at : at + 1] for at in range(min(len(wire), ALONE))]
    slowly, seen = run(make(), [*pieces, wire[ALONE:]], password=password, limit=limit)
    if len(wire) > ALONE and "in clear" in slowly.detail:
        return slowly, seen  # TLS began in the last chunk
    if seen.asked and limit < LIMIT:
        return slowly, seen  # early bytes are held up to the limit, so that the chunks make a difference here
    for chunks in cuttings(wire, seen.tls_at):
        held, _ = run(make(), chunks, password=password, limit=limit)
        same(held, slowly, "the outcome")
    if seen.tls_at is None:
        same(run(make(), [wire], password=password, limit=limit)[0], slowly, "the outcome at once")
    elif seen.tls_at < len(wire):
        for chunks in ([wire], [wire[: seen.tls_at], wire[seen.tls_at :]]):
            held, _ = run(make(), chunks, password=password, limit=limit, tls=False)
            holds(held.error is not None and "in clear" in held.detail, "plaintext before TLS is accepted", held)
            holds(slowly.sent.startswith(held.sent), "sends something after plaintext before TLS", held)
    return slowly, seen


def failed_well(held: Held, *allowed: type[Refusal]) -> None:
    """Check that a failure is documented, and can be logged."""
    if held.error is not None:
        holds(held.error in allowed, "another refusal than documented", held)
        holds(held.detail, "a refusal without a reason")
        fits_a_log(held.detail, LONGEST_DETAIL, "the detail")


def run_login(data: bytes) -> None:
    """First byte: our settings; the rest: a VNC server's stream."""
    if not data:
        return
    schemes, password = SCHEMES[data[0] & 7], PASSWORDS[data[0] >> 3 & 3]
    _login(data[1:], schemes, SUBTYPES[data[0] >> 5 & 1], password, LIMITS[data[0] >> 6 & 1])


def run_vencrypt(data: bytes) -> None:
    """First byte: our settings; the rest: the stream of a 3.8 server after the choice of VeNCrypt."""
    if not data:
        return
    subtypes = SUBTYPES[data[0] & 1]
    _login(b"RFB 003.008\n\1\x13" + data[1:], ("vencrypt",), subtypes, PASSWORDS[data[0] >> 1 & 3], LIMIT)


def _login(wire: bytes, schemes: tuple[str, ...], subtypes: tuple[str, ...], password: str | None, limit: int) -> None:
    held, seen = at_any_cutting(lambda: login(schemes, vencrypt_subtypes=subtypes), wire, password, limit)
    failed_well(held, *((ConsoleUnreachable,) if limit == LIMIT else (ConsoleUnreachable, ProtocolViolation)))
    version = re.match(rb"RFB ([0-9]{3})\.([0-9]{3})\n", wire)
    holds(held.sent == b"" or version is not None, "answers what is not RFB", held.sent)
    holds(held.sent[:12] in (b"", b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n"), "another version", held.sent)
    holds(len(held.sent) <= 12 + 1 + 2 + 4 + 16 + 1, "sends more than it can", held.sent)
    holds(seen.asked <= 1, "asks twice")
    if held.sent[:12] in (b"RFB 003.007\n", b"RFB 003.008\n") and len(held.sent) > 12:
        offered = wire[13 : 13 + wire[12]]
        first = next((NUMBERS[name] for name in schemes if NUMBERS[name] in offered), None)
        same(held.sent[12], first, "the choice")
        if first == 2 and len(held.sent) > 13:
            challenge = wire[13 + wire[12] : 29 + wire[12]]
            same(held.sent[13:29], response(password or "", challenge), "the response")
    if not password and seen.asked:
        holds(held.error is not None, "logged in without a password", held)
    holds("the reason" not in held.waiting_for or len(held.rest) < MAX_REASON, "reads a reason of any length", held)
    screen = held.result
    if screen is not None:
        holds(wire.endswith(screen.encode() + held.rest), "ServerInit differs from the received bytes", screen)
        holds(0 < screen.width <= MAX_SIDE and 0 < screen.height <= MAX_SIDE, "an impossible screen", screen)
        holds(len(screen.name) <= MAX_NAME, "a long name")
        renamed = screen.renamed(screen.name.decode("latin-1"))
        holds(renamed.name.decode() or not screen.name, "a name is lost")
        same(renamed.encode()[:20], screen.encode()[:20], "the renamed screen")


def run_offer(data: bytes) -> None:
    """A viewer's stream: the result for a valid one is ClientInit, and the bytes after it are left."""
    held, seen = at_any_cutting(offer, data, None, LIMIT)
    failed_well(held, ProtocolViolation)
    holds(not seen.asked and seen.tls_at is None, "asks a viewer")
    version = data[:12]
    chooses = version in (b"RFB 003.007\n", b"RFB 003.008\n")
    bad = (
        (len(data) >= 4 and data[:4] != b"RFB ")
        or (len(data) >= 12 and version not in _SERVED)
        or (chooses and data[12:13] not in (b"", b"\1"))
    )
    same(held.error is not None, bad, "whether it is refused")
    if held.done and held.error is None:
        same(held.sent, b"RFB 003.008\n" + _SERVED[version], "what was sent")
        flag = 13 if chooses else 12
        same((held.result.shared, held.rest), (data[flag] != 0, data[flag + 1 :]), "the outcome")
    elif held.error is not None:
        _failure(held.sent, data, ProtocolViolation.sentence)


_SERVED = {
    b"RFB 003.003\n": b"\0\0\0\1",
    b"RFB 003.005\n": b"\0\0\0\1",
    b"RFB 003.007\n": b"\1\1",
    b"RFB 003.008\n": b"\1\1\0\0\0\0",
}
"""What the proxy sends to a viewer of each version before ServerInit."""


def run_refuse(data: bytes) -> None:
    """First byte: the reason; the rest: a viewer's stream."""
    if not data:
        return
    rows = sorted(TABLE)
    sentence = TABLE[rows[data[0] % len(rows)]].sentence
    held, _ = at_any_cutting(lambda: refuse(sentence), data[1:], None, LIMIT)
    same(held.error, None, "the error")
    if held.done:
        _failure(held.sent, data[1:], sentence)


def _failure(sent: bytes, received: bytes, sentence: str) -> None:
    """Check the reason, in the form of the viewer's version."""
    text = sentence.encode()
    reason = len(text).to_bytes(4, "big") + text
    if received[:12] in (b"RFB 003.003\n", b"RFB 003.005\n"):
        wanted = b"\0\0\0\0" + reason
    elif received[:12] == b"RFB 003.008\n" and sent[12:13] == b"\1":
        wanted = b"\1\1\0\0\0\1" + reason
    elif received[:12] == b"RFB 003.007\n" and sent[12:13] == b"\1":
        wanted = b"\1\1\0\0\0\1"
    else:
        wanted = b"\0" + reason
    same(sent, b"RFB 003.008\n" + wanted, "the refusal")


_VERSIONS = (*(b"RFB 003.%03d\n" % minor for minor in (3, 5, 6, 7, 8, 9, 889)), b"RFB 004.001\n", b"RFB 005.000\n")

TARGETS = (
    Target("rfb-login", run_login, 512, (*_VERSIONS, b"\1\1", b"\1\2", b"\2\2\1", b"\3\x13\2\1", b"\0\0\0\1")),
    Target(
        "rfb-vencrypt", run_vencrypt, 256, (b"\0\2", b"\0\0\1\4", b"\0\0\1\5", b"\0\0\1\1", b"\0\0\1\2", b"\0\0\0\0")
    ),
    Target("rfb-offer", run_offer, 64, (*_VERSIONS, b"\1\1", b"\1\0")),
    Target("rfb-refuse", run_refuse, 32, _VERSIONS),
)
