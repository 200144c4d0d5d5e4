"""The client's side: log in to a VNC server, from ProtocolVersion to ServerInit (RFC 6143, sections 7.1 to 7.3)."""

import re
import struct
from collections.abc import Iterable, Sequence

from novnc_twisted.errors import ConsoleUnreachable

from .constants import (
    MAX_NAME,
    MAX_REASON,
    MAX_SIDE,
    VERSION_3_3,
    VERSION_3_7,
    VERSION_3_8,
    VERSION_LENGTH,
    SecurityResult,
    SecurityType,
    security_type_name,
)
from .handshake import Flooded, Handshake, Need, Write
from .security import Authenticators, authenticators
from .security.vencrypt import DEFAULT_SUBTYPES
from .server_init import HEAD_LENGTH, ServerInit, decode_head
from .text import printable

_U32 = struct.Struct(">I")
_VERSION = re.compile(rb"RFB ([0-9]{3})\.([0-9]{3})\n")


def login(
    schemes: Sequence[str] = ("none", "vnc"),
    shared: bool = True,
    *,
    vencrypt_subtypes: Sequence[str] = DEFAULT_SUBTYPES,
) -> Handshake[ServerInit]:
    """Log in to a VNC server and read its ServerInit.

    With VeNCrypt, the handshake yields :class:`~novnc_twisted.rfb.StartTLS`, and the code that runs it must start TLS.
    If a password is needed, the handshake yields :class:`~novnc_twisted.rfb.Ask`, and this code must supply the
    password.

    :param schemes: names of :data:`novnc_twisted.rfb.security.SCHEMES`.  The first one that the server offers is used.
        If this scheme fails, no other one is tried.  Otherwise, an attacker could make a scheme fail, so that a weaker
        one is used.
    :param shared: whether other clients may stay connected; False makes QEMU disconnect them.
    :param vencrypt_subtypes: some of X509None, X509Vnc, TLSNone and TLSVnc; the first one that the server offers is
        used.
    :raises ValueError: (by this call) a scheme is unknown; or VeNCrypt is one of the schemes, and ``vencrypt_subtypes``
        is empty or contains an unknown name.
    :raises ConsoleUnreachable: (by the handshake) the server does not speak RFB, refuses the connection or the log-in,
        offers no security type that is permitted here, breaks the protocol or exceeds a limit; or the server wants a
        password, which is missing or empty, or OpenSSL refuses DES.  If the server sent a reason, the detail contains
        the reason.
    """
    return _login(authenticators(schemes, vencrypt_subtypes), shared)


def _login(schemes: Authenticators, shared: bool) -> Handshake[ServerInit]:
    try:
        # The order of RFC 6143, section 7.1: version, security, ClientInit, ServerInit.
        version = yield from _protocol_version()
        yield from (_security_3_3(schemes) if version == VERSION_3_3 else _security(schemes, version))
        yield Write(b"\1" if shared else b"\0")
        return (yield from _server_init())
    except Flooded as flood:
        raise ConsoleUnreachable(f"the VNC server broke the protocol: {flood}") from None


def _protocol_version() -> Handshake[bytes]:
    """Read the server's version, answer it, and return our answer (section 7.1.1).

    Versions 3.3 to 3.6 count as 3.3 (UltraVNC announces 3.4 and 3.6).  Servers that announce 3.889 (Apple), 3.9,
    4.x (Intel, RealVNC) or 5.x (RealVNC) accept 3.8.
    """
    data = yield Need(4, "ProtocolVersion")
    if data == b"RFB ":  # a server of another protocol may send fewer than 12 bytes and then wait for us
        data += yield Need(VERSION_LENGTH - 4, "ProtocolVersion")
    match = _VERSION.fullmatch(data)
    if match is None:
        raise ConsoleUnreachable(f"not an RFB server: it began with '{printable(data)}'")
    major, minor = int(match[1]), int(match[2])
    if major == 3 and 3 <= minor <= 6:
        version = VERSION_3_3
    elif major == 3 and minor == 7:
        version = VERSION_3_7
    elif (major == 3 and minor in (8, 9, 889)) or major in (4, 5):
        version = VERSION_3_8
    else:
        raise ConsoleUnreachable(f"the VNC server speaks RFB {major}.{minor}, which is unknown")
    yield Write(version)
    return version


def _security(schemes: Authenticators, version: bytes) -> Handshake[None]:
    """Choose one of the server's security types, and authenticate (sections 7.1.2 and 7.1.3)."""
    count = (yield Need(1, "the security types"))[0]
    if count == 0:
        yield from _refused("the VNC server refuses us")
    offered = yield Need(count, "the security types")
    # Use our order, not the server's: an attacker on the path could reorder the list to select the weakest type.
    common = next((scheme for scheme in schemes.values() if scheme[0] in offered), None)
    if common is None:
        raise _no_common_type(schemes, offered)
    number, authenticate = common
    yield Write(bytes([number]))
    yield from authenticate()
    # Before 3.8, security type None has no SecurityResult (RFC 6143, appendix A.2).
    if version == VERSION_3_8 or number != SecurityType.NONE:
        yield from _security_result(reason_follows=version == VERSION_3_8)


def _security_3_3(schemes: Authenticators) -> Handshake[None]:
    """Use the security type that a server of version 3.3 has chosen (appendix A.1).

    With type None, no SecurityResult follows.
    """
    (number,) = _U32.unpack((yield Need(4, "the security type")))
    if number == SecurityType.INVALID:
        yield from _refused("the VNC server refuses us")
    for ours, authenticate in schemes.values():
        # Version 3.3 has only the types None and VNC Authentication (appendix A.1).  It does not define what the server
        # sends after the number of another type.
        if ours == number and number in (SecurityType.NONE, SecurityType.VNC):
            yield from authenticate()
            break
    else:
        raise _no_common_type(schemes, [number])
    if number != SecurityType.NONE:
        yield from _security_result(reason_follows=False)


def _no_common_type(schemes: Iterable[str], offered: Sequence[int]) -> ConsoleUnreachable:
    theirs = ", ".join(security_type_name(number) for number in offered[:16])  # more would not fit into one log line
    return ConsoleUnreachable(
        f"no common security type: the VNC server offers {theirs}; we may use {', '.join(schemes)}"
    )


def _security_result(*, reason_follows: bool) -> Handshake[None]:
    """Read SecurityResult (section 7.1.3).  Before version 3.8, a failure has no reason."""
    (result,) = _U32.unpack((yield Need(4, "SecurityResult")))
    if result == SecurityResult.OK:
        return
    # After an unknown value, the next bytes are undefined, and cannot be read as a reason.
    if result not in (SecurityResult.FAILED, SecurityResult.TOO_MANY_ATTEMPTS):
        raise ConsoleUnreachable(f"the VNC server broke the protocol: SecurityResult {result}")
    what = "authentication failed" if result == SecurityResult.FAILED else "too many failed attempts"
    if reason_follows:
        yield from _refused(what)
    raise ConsoleUnreachable(what)


def _refused(what: str) -> Handshake[None]:
    """Read at most :data:`MAX_REASON` bytes of the reason, and fail with it."""
    (length,) = _U32.unpack((yield Need(4, f"the reason ({what})")))
    # The rest of a longer reason is never read: the connection is closed with this refusal.
    reason = yield Need(min(length, MAX_REASON), f"the reason ({what})")
    raise ConsoleUnreachable(f"{what}: {printable(reason)}")


def _server_init() -> Handshake[ServerInit]:
    """Read ServerInit (section 7.3.2)."""
    head = yield Need(HEAD_LENGTH, "ServerInit")
    width, height, pixel_format, name_length = decode_head(head)
    # The viewer makes its canvas in this size, so check the size before the viewer receives it.
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ConsoleUnreachable(f"the VNC server claims a screen of {width} x {height} pixels")
    if name_length > MAX_NAME:
        raise ConsoleUnreachable(f"the VNC server claims a name of {name_length} bytes")
    # Not "ServerInit" again: if the connection is lost while that is awaited, session/upstream/loss.py may blame QEMU's
    # limit of viewers.  But QEMU refuses a viewer only before ServerInit, never in the middle of it.
    name = yield Need(name_length, "the name in ServerInit")
    return ServerInit(width, height, pixel_format, name)
