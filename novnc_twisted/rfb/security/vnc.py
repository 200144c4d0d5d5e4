"""VNC Authentication (RFC 6143, section 7.2.2): a challenge of 16 bytes, encrypted with DES and the password."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from novnc_twisted.errors import ConsoleUnreachable
from novnc_twisted.rfb.handshake import Ask, Handshake, Need, Write

CHALLENGE_LENGTH = 16
KEY_LENGTH = 8


def vnc_authentication() -> Handshake[None]:
    """Ask for the password, and answer the challenge with it.

    :raises ConsoleUnreachable: the password is missing or empty, or OpenSSL refuses DES.  An empty password does not
        protect a VM (CVE-2016-5008).  A password that begins with NUL counts as empty, as in C.
    """
    challenge = yield Need(CHALLENGE_LENGTH, "the challenge of VNC authentication")
    password: str | None = yield Ask("password")
    if not password or password.startswith("\0"):
        raise ConsoleUnreachable("the VNC server wants a password, and there is none for it")
    try:
        answer = response(password, challenge)
    except UnsupportedAlgorithm:
        raise ConsoleUnreachable("the VNC server wants a password, and this machine's OpenSSL refuses DES") from None
    yield Write(answer)


def response(password: str, challenge: bytes) -> bytes:
    """Return the challenge, encrypted with DES.  The key is the first eight bytes of the password (UTF-8).

    TripleDES with the same key three times is DES.
    """
    key = password.encode("utf-8", "replace")[:KEY_LENGTH].ljust(KEY_LENGTH, b"\0")
    # VNC authentication uses the bits of each key byte in reverse order (RFC 6143, section 7.2.2).
    reversed_key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    encryptor = Cipher(TripleDES(reversed_key * 3), ECB()).encryptor()  # noqa: S305 - the protocol requires ECB
    return encryptor.update(challenge) + encryptor.finalize()
