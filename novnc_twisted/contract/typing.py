"""Keystrokes for a server, as they travel from the API to the server's compute host.

The typed text may be a password, so it must not be readable on the bus or in the files of Redis.  The bus encrypts
replies, but not calls.  So the compute host first replies with a secret (a :class:`TypingTicket`), with which the API
then encrypts the keystrokes.

A *chord* is a set of keys that are pressed together, such as Ctrl+Alt+Delete.
"""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record

MAX_CHORD: Final = 16
"""Maximum number of keys that are pressed at a time (libvirt's ``VIR_DOMAIN_SEND_KEY_MAX_KEYS``)."""

MAX_CHORDS: Final = 200
"""Maximum number of chords in one message."""

MAX_HOLD: Final = 200
"""Maximum of :attr:`Strokes.hold`, in milliseconds."""

MAX_SECONDS: Final = 10.0
"""Maximum of :attr:`Strokes.seconds` for one message."""

_KEY_BYTES: Final = 32


@record
class TypingTicket(Record):
    """The right to type on a server's keyboard for a while.

    :ivar id: the ticket's name; None: there is no ticket, because another ticket of this server is in use.
    :ivar secret: the key for encryption, in hexadecimal digits.
    """

    id: Annotated[str | None, fields.optional(fields.short_text)] = None
    # The check for a SHA-256 also fits this key: both are 32 bytes in hexadecimal digits.
    secret: Annotated[str | None, fields.optional(fields.token_hash)] = None

    def __repr__(self) -> str:
        return f"TypingTicket(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Strokes:
    """Chords that are pressed one after the other.

    :ivar chords: for each chord, Linux's codes of its keys.
    :ivar hold: milliseconds between two events; each press and each release of a key is an event.
    :ivar more: whether further strokes follow in another message.
    """

    chords: tuple[tuple[int, ...], ...]
    hold: int
    more: bool = False

    @property
    def seconds(self) -> float:
        """Seconds that the hypervisor takes to press and release all keys.

        The compute host makes a short pause after the key Enter.  This pause is not counted.
        """
        return sum(2 * len(chord) for chord in self.chords) * self.hold / 1000


def new_ticket() -> TypingTicket:
    """Return a ticket with a new secret."""
    return TypingTicket(id=secrets.token_hex(8), secret=secrets.token_hex(_KEY_BYTES))


def seal(ticket: TypingTicket, number: int, strokes: Strokes) -> str:
    """Encrypt strokes.

    :param number: 0 for the first message with this ticket, 1 for the next one, and so on.  With this number, the
        receiver notices a message that is repeated or in the wrong order.
    """
    plain = json.dumps({"chords": strokes.chords, "hold": strokes.hold, "more": strokes.more}).encode()
    return base64.b64encode(_cipher(ticket).encrypt(_nonce(number), plain, None)).decode()


def unseal(ticket: TypingTicket, number: int, sealed: Any) -> Strokes:
    """Decrypt and check strokes.

    :raises ValueError: ``sealed`` was not encrypted with this ticket and number, or the strokes are invalid or exceed a
        limit.
    """
    try:
        plain = _cipher(ticket).decrypt(_nonce(number), base64.b64decode(sealed, validate=True), None)
    except (InvalidTag, binascii.Error, TypeError, ValueError):
        raise ValueError("not sealed with this ticket") from None
    try:
        found = json.loads(plain)
        strokes = Strokes(
            tuple(map(_chord, found["chords"])), fields.count(found["hold"]), fields.boolean(found["more"])
        )
    except (KeyError, TypeError, RecursionError):
        raise ValueError("chords, hold or more is missing or has a wrong type") from None
    within = 0 < len(strokes.chords) <= MAX_CHORDS and 0 < strokes.hold <= MAX_HOLD
    if not within or strokes.seconds > MAX_SECONDS:
        raise ValueError("no keys, too many keys, or an invalid time for which they are held")
    return strokes


def _chord(codes: list[int]) -> tuple[int, ...]:
    if not 0 < len(codes) <= MAX_CHORD or not all(0 < fields.count(code) < 256 for code in codes):
        raise ValueError("not a chord")
    return tuple(codes)


def _cipher(ticket: TypingTicket) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(bytes.fromhex(ticket.secret or ""))


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
