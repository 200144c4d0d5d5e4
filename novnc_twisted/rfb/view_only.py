"""The filter of a viewer that may only see the screen."""

from .client_messages import QEMU_KEY, ClientMessage, length_of

PASSED = frozenset(
    (
        ClientMessage.SET_PIXEL_FORMAT,
        ClientMessage.SET_ENCODINGS,
        ClientMessage.FRAMEBUFFER_UPDATE_REQUEST,
        ClientMessage.ENABLE_CONTINUOUS_UPDATES,
        ClientMessage.CLIENT_FENCE,
    )
)
"""The messages that ask for the screen, and change nothing on the server: all that a view-only viewer may send."""

PRESSED = 10
"""Keys that a viewer may be holding when it loses the right to control: as many as it has fingers."""

_UPDATE_REQUEST = ClientMessage.FRAMEBUFFER_UPDATE_REQUEST
_UPDATE_REQUEST_SIZE = 10
_KEY_UP = bytes((ClientMessage.KEY_EVENT, 0))


class ViewOnly:
    """Passes the messages of :data:`PASSED`, and removes all others: a filter of the relay, without I/O.

    Keys, pointer events, clipboard texts, the size of the desktop, power (xvp) and QEMU's messages are removed without
    a word, so that the session goes on.  It stands behind :class:`~novnc_twisted.rfb.Shield`, which checks what the
    messages contain; alone, it accepts pieces of any size as well.

    A viewer that loses the right to control may be holding a key.  If the server never heard of its release, it would
    repeat the key without end; so the first releases may pass.

    * Refused: a message whose length is unknown, since the messages after it could not be found.
    * Held: the head of a message that is not yet complete, at most 8 bytes.
    """

    __slots__ = ("_held", "_left", "_passes", "_releases")

    def __init__(self, releases: int = 0) -> None:
        """Begin.

        :param releases: how many releases of keys are passed on, at most.
        """
        self._releases = releases
        self._held = b""  # the head of a message that is not yet complete
        self._left = 0  # bytes of the message under way that are still to come
        self._passes = False  # whether these are passed on

    @property
    def unfinished(self) -> int:
        """The bytes still to come of a message that was passed on in part; 0 between messages."""
        return self._left

    def from_client(self, data: bytes) -> bytes:
        """Return the messages that may be passed on.

        :raises ProtocolViolation: a message has an unknown length.
        :raises MessageTooBig: a message is over the limits of the shield.
        """
        # Nearly all that a view-only viewer sends is one request for the screen at a time.
        if len(data) == _UPDATE_REQUEST_SIZE and data[0] == _UPDATE_REQUEST and not (self._held or self._left):
            return data
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        passed: list[bytes] = []
        while at < end:
            if not self._left:
                self._left = length_of(data, at)
                if not self._left:
                    self._held = data[at:]
                    break
                self._passes = data[at] in PASSED or (self._releases > 0 and self._is_release(data, at))
            piece = min(self._left, end - at)
            if self._passes:
                passed.append(data[at : at + piece])
            self._left -= piece
            at += piece
        return b"".join(passed)

    def _is_release(self, data: bytes, at: int) -> bool:
        """Whether a whole message releases a key; count it if so."""
        released = at + self._left <= len(data) and (
            data[at : at + 2] == _KEY_UP or (data[at : at + 2] == QEMU_KEY and data[at + 2 : at + 4] == b"\0\0")
        )
        self._releases -= released
        return released
