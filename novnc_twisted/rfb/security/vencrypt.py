"""VeNCrypt (rfbproto, "VeNCrypt"), version 0.2: a sub-type, then TLS, then the sub-type's authentication inside TLS.

Sub-types without TLS are not supported.  As with security types, our order of preference decides, and unknown sub-types
are ignored.  If the chosen sub-type fails, no other sub-type is tried.
"""

import struct
from collections.abc import Callable, Sequence

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb.constants import VeNCryptSubtype, vencrypt_subtype_name
from novnc_twisted.rfb.handshake import Handshake, Need, StartTLS, Write
from novnc_twisted.rfb.security.none import no_authentication
from novnc_twisted.rfb.security.vnc import vnc_authentication

VERSION = (0, 2)

SUBTYPES: dict[str, tuple[VeNCryptSubtype, bool, Callable[[], Handshake[None]]]] = {
    "X509None": (VeNCryptSubtype.X509_NONE, True, no_authentication),
    "X509Vnc": (VeNCryptSubtype.X509_VNC, True, vnc_authentication),
    "TLSNone": (VeNCryptSubtype.TLS_NONE, False, no_authentication),
    "TLSVnc": (VeNCryptSubtype.TLS_VNC, False, vnc_authentication),
}
"""Name of the sub-type -> its number, whether we verify the server's certificate, and the handshake inside TLS."""

DEFAULT_SUBTYPES = ("X509None", "X509Vnc")
"""The sub-types with a certificate of the server, which we verify."""


def check_subtypes(names: Sequence[str]) -> tuple[str, ...]:
    """Check that all names are known, and return them as a tuple.

    :raises ValueError: a name is unknown, or there are no names.
    """
    if not names:
        raise ValueError("no VeNCrypt sub-types")
    unknown = [name for name in names if name not in SUBTYPES]
    if unknown:
        raise ValueError(f"unknown VeNCrypt sub-types: {', '.join(unknown)}")
    return tuple(names)


def vencrypt(subtypes: Sequence[str] = DEFAULT_SUBTYPES) -> Handshake[None]:
    """Choose a sub-type, start TLS, and authenticate inside it.

    :raises ConsoleUnreachable: the server does not support version 0.2, has no sub-type in common with us, or refuses
        the chosen one; or :func:`.vnc_authentication` raises this error.
    """
    yield from _version()
    count = (yield Need(1, "the VeNCrypt sub-types"))[0]
    offered = struct.unpack(f">{count}I", (yield Need(4 * count, "the VeNCrypt sub-types")))
    # As with security types, our order decides, so that the server's list cannot downgrade the choice.
    for name in subtypes:
        number, verified, authenticate = SUBTYPES[name]
        if number in offered:
            break
    else:
        theirs = ", ".join(vencrypt_subtype_name(number) for number in offered[:16]) or "none"
        raise ConsoleUnreachable(
            f"no common VeNCrypt sub-type: the VNC server offers {theirs}; we may use {', '.join(subtypes)}"
        )
    yield Write(struct.pack(">I", number))
    # Here, 1 means success.  In the answer to the version, 0 means success: see _version().
    if (yield Need(1, "the VeNCrypt answer"))[0] == 0:
        raise ConsoleUnreachable(f"the VNC server refuses the VeNCrypt sub-type {name}, which it offered")
    # Authentication follows inside TLS, so that the challenge and the response are encrypted.
    yield StartTLS(verified)
    yield from authenticate()


def _version() -> Handshake[None]:
    """Exchange the highest versions of both sides.  0.1 is not supported: it numbers the sub-types differently."""
    major, minor = yield Need(2, "the VeNCrypt version")
    # A newer server may also support 0.2; an older one does not.
    if (major, minor) < VERSION:
        yield Write(b"\0\0")  # means: no common version
        raise ConsoleUnreachable(f"the VNC server speaks VeNCrypt {major}.{minor}, not 0.2")
    yield Write(bytes(VERSION))
    if (yield Need(1, "the VeNCrypt answer"))[0] != 0:
        raise ConsoleUnreachable(f"the VNC server speaks VeNCrypt {major}.{minor} and refuses 0.2")
