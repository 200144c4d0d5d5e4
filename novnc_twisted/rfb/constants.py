"""Numbers of RFB (RFC 6143; rfbproto for later additions), and our limits for peers."""

from enum import IntEnum

VERSION_LENGTH = 12
"""Bytes of a ProtocolVersion message (RFC 6143, section 7.1.1)."""

VERSION_3_3 = b"RFB 003.003\n"
VERSION_3_7 = b"RFB 003.007\n"
VERSION_3_8 = b"RFB 003.008\n"

LIMIT = 64 * 1024
"""Maximum number of bytes for which a handshake can wait in one step.

A peer may also send bytes for which the handshake does not wait yet.  The driver holds at most this many of them.
"""

MAX_REASON = 1024
"""Maximum number of bytes that are read of a peer's reason for a refusal.

The length field of a reason may announce 4 GiB (nova bug 2155052).
"""

MAX_NAME = LIMIT
"""Maximum number of bytes of the name in ServerInit.  A longer name is refused.

It could not be cut off like a reason, since further messages follow it.
"""

MAX_SIDE = 32767
"""Maximum width and height of a screen in pixels."""


class SecurityType(IntEnum):
    """Registered security types (rfbproto, "Security types"); most are here for their names in the log."""

    INVALID = 0
    NONE = 1
    VNC = 2
    RSA_AES = 5
    RSA_AES_UNENCRYPTED = 6
    RSA_AES_TWO_STEP = 13
    TIGHT = 16
    ULTRA = 17
    TLS = 18
    VENCRYPT = 19
    SASL = 20
    MD5 = 21
    XVP = 22
    DIFFIE_HELLMAN = 30
    MS_LOGON_II = 113
    RSA_AES_256 = 129
    RSA_AES_256_UNENCRYPTED = 130
    RSA_AES_256_TWO_STEP = 133


class VeNCryptSubtype(IntEnum):
    """Sub-types of VeNCrypt (rfbproto, "VeNCrypt").  263 and 264 have QEMU's meaning, not rfbproto's."""

    PLAIN = 256
    TLS_NONE = 257
    TLS_VNC = 258
    TLS_PLAIN = 259
    X509_NONE = 260
    X509_VNC = 261
    X509_PLAIN = 262
    X509_SASL = 263
    TLS_SASL = 264
    IDENT = 265
    TLS_IDENT = 266
    X509_IDENT = 267


class SecurityResult(IntEnum):
    """The result of authentication (RFC 6143, section 7.1.3; 2 is from rfbproto)."""

    OK = 0
    FAILED = 1
    TOO_MANY_ATTEMPTS = 2


class Encoding(IntEnum):
    """The encodings that the filters know by name, most of them pseudo-encodings (rfbproto)."""

    RAW = 0
    CURSOR = -239
    QEMU_AUDIO = -259
    GII = -305
    XVP = -309
    FENCE = -312
    CONTINUOUS_UPDATES = -313
    EXTENDED_MOUSE_BUTTONS = -316
    EXTENDED_CLIPBOARD = 0xC0A1E5CE - (1 << 32)
    VMWARE_CURSOR = 0x574D5664


def security_type_name(number: int) -> str:
    """Return a security type for the log: ``19 (VENCRYPT)``, or the bare number if SecurityType does not have it."""
    return _name(SecurityType, number)


def vencrypt_subtype_name(number: int) -> str:
    """Return a sub-type of VeNCrypt for the log.

    TigerVNC's list of sub-types also contains security types, such as ``2 (VNC)``.
    """
    return _name(VeNCryptSubtype if number > 255 else SecurityType, number)


def _name(kind: type[IntEnum], number: int) -> str:
    try:
        return f"{number} ({kind(number).name})"
    except ValueError:
        return str(number)
