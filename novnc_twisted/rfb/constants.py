"""Numbers of the protocol (RFC 6143; rfbproto for what came later), and the bounds that we hold a peer to."""

from enum import IntEnum

VERSION_LENGTH = 12
"""Bytes of a ProtocolVersion message (RFC 6143, section 7.1.1)."""

VERSION_3_3 = b"RFB 003.003\n"
VERSION_3_7 = b"RFB 003.007\n"
VERSION_3_8 = b"RFB 003.008\n"

LIMIT = 64 * 1024
"""Bytes that a conversation holds at most while it waits, beside the chunk that just came."""

MAX_REASON = 1024
"""Bytes of a peer's reason that are read; its length field may promise 4 GiB (nova bug 2155052)."""

MAX_NAME = LIMIT
"""Bytes of the longest name in ServerInit that is taken; it can't be skipped, since messages follow it."""

MAX_SIDE = 32767
"""Pixels of the widest and of the highest screen that is taken."""


class SecurityType(IntEnum):
    """Security types that are registered (rfbproto, "Security types"); of most we know the name only."""

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


class SecurityResult(IntEnum):
    """How authentication ended (RFC 6143, section 7.1.3; 2 is rfbproto's)."""

    OK = 0
    FAILED = 1
    TOO_MANY_ATTEMPTS = 2


def security_type_name(number: int) -> str:
    """A security type for the log: ``19 (VENCRYPT)``, or the bare number where it is not registered."""
    try:
        return f"{number} ({SecurityType(number).name})"
    except ValueError:
        return str(number)
