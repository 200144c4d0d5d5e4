"""The server's side of the RFB handshake: accepts or refuses a viewer (RFC 6143, sections 7.1 and 7.3.1).

The offer is always RFB 3.8 with security type None, because the token has already decided that the viewer may connect.
A viewer may answer with a lower version (section 7.1.1), which is then used.
"""

import struct

from novnc_twisted.errors import ProtocolViolation
from novnc_twisted.read_only import read_only

from .constants import VERSION_3_3, VERSION_3_7, VERSION_3_8, VERSION_LENGTH, SecurityResult, SecurityType
from .handshake import Handshake, Need, Write
from .text import printable

_U32 = struct.Struct(">I")
_COUNTS_AS_3_3 = (VERSION_3_3, b"RFB 003.005\n")
"""3.5 was never published; viewers that announce it speak 3.3 (RFC 6143, section 7.1.1)."""


@read_only()
class ClientInit:
    """The choice of the viewer.

    :ivar shared: whether other viewers may stay connected (RFC 6143, section 7.3.1).
    :ivar version: the ProtocolVersion message that the viewer sent.
    """

    shared: bool
    version: bytes = VERSION_3_8


def offer() -> Handshake[ClientInit]:
    """Offer RFB 3.8 and security type None, and read ClientInit; after that, the caller sends ServerInit.

    :raises ProtocolViolation: the viewer answers with a version other than 3.3, 3.5, 3.7 or 3.8, or chooses a security
        type that was not offered.  The handshake has already sent the refusal in the form of the viewer's version.
        If the viewer's version is unknown, the refusal has the form of 3.8.
    """
    version = yield from _client_version()
    if version in _COUNTS_AS_3_3:
        yield Write(_U32.pack(SecurityType.NONE))  # in 3.3, the server chooses, and type None has no SecurityResult
    elif version in (VERSION_3_7, VERSION_3_8):
        yield from _security(version)
    else:
        yield from _failure(version, ProtocolViolation.sentence)
        raise ProtocolViolation(f"the viewer answered '{printable(version)}' to RFB 003.008")
    shared = yield Need(1, "ClientInit")
    return ClientInit(shared != b"\0", version)


def _security(version: bytes) -> Handshake[None]:
    """Offer security type None (sections 7.1.2 and 7.1.3).

    In version 3.7, type None has no SecurityResult, and a failure has no reason (appendix A.2).
    """
    # A list with one type.
    yield Write(bytes([1, SecurityType.NONE]))
    choice = (yield Need(1, "the security type"))[0]
    if choice != SecurityType.NONE:  # RealVNC once accepted a type that it had not offered (CVE-2006-2369)
        reason = _reason(ProtocolViolation.sentence) if version == VERSION_3_8 else b""
        yield Write(_U32.pack(SecurityResult.FAILED) + reason)
        raise ProtocolViolation(f"the viewer chose security type {choice}, which was not offered")
    if version == VERSION_3_8:
        yield Write(_U32.pack(SecurityResult.OK))


def refuse(sentence: str) -> Handshake[None]:
    """Refuse a viewer: send that there is no security type for it, and a sentence that the viewer can show.

    If the viewer answers with something that is not a version of RFB, the refusal is sent nevertheless.
    """
    version = yield from _client_version()
    yield from _failure(version, sentence)


def _client_version() -> Handshake[bytes]:
    """Send our version, and return the viewer's (section 7.1.1).

    If the first four bytes of the answer do not begin a version message, return only these four.
    """
    yield Write(VERSION_3_8)
    version: bytes = yield Need(4, "ProtocolVersion")
    # A client that speaks another protocol may send fewer than 12 bytes and then wait for us.
    if version == b"RFB ":
        version += yield Need(VERSION_LENGTH - 4, "ProtocolVersion")
    return version


def _failure(version: bytes, sentence: str) -> Handshake[None]:
    """Send a refusal (section 7.1.2): security type 0 in four bytes for 3.3, an empty list for every other version."""
    yield Write((_U32.pack(0) if version in _COUNTS_AS_3_3 else b"\0") + _reason(sentence))


def _reason(sentence: str) -> bytes:
    text = sentence.encode()
    return _U32.pack(len(text)) + text
