"""The filters for viewers with limited rights: viewing only, or a fixed size of the screen."""

from typing import ClassVar, Final

from .client_messages import EVERYDAY, QEMU_KEY, ClientMessage, length_of

PASSED: frozenset[int] = frozenset(
    (
        ClientMessage.SET_PIXEL_FORMAT,
        ClientMessage.SET_ENCODINGS,
        ClientMessage.FRAMEBUFFER_UPDATE_REQUEST,
        ClientMessage.ENABLE_CONTINUOUS_UPDATES,
        ClientMessage.CLIENT_FENCE,
    )
)
"""The messages that a view-only viewer may send: they request the screen, and change nothing on the server."""

PRESSED = 10
"""Maximum number of key releases that pass after a viewer has lost control: one for each finger."""

_UPDATE_REQUEST = ClientMessage.FRAMEBUFFER_UPDATE_REQUEST
_UPDATE_REQUEST_SIZE = 10
_KEY_UP = bytes((ClientMessage.KEY_EVENT, 0))
_QEMU_KEY_UP = QEMU_KEY + b"\0\0"

_ALL: Final = frozenset(range(256))


class ViewOnly:
    """A filter that passes the messages of :data:`PASSED`, and removes all others.  No I/O.

    Keys, pointer events, clipboard texts, the size of the desktop, power (xvp) and QEMU's messages are removed
    silently, so that the session goes on.  This filter accepts pieces of any size.  It does not check the content of
    the messages; :class:`~novnc_twisted.rfb.Shield`, which normally comes before it, does.

    A viewer that loses control may be holding a key.  If the server did not get the release of this key, it would
    repeat the key endlessly.  So the filter can pass a limited number of key releases (``releases``).

    * Refused: a message with an unknown length, since the messages after it could not be found.
    * Held: the incomplete head of a message, at most 8 bytes.
    """

    __slots__ = ("_held", "_left", "_passes", "_releases")

    passed: ClassVar[frozenset[int]] = PASSED

    def __init__(self, releases: int = 0) -> None:
        """Prepare the filter.  The first byte that it receives must be the first byte of a message.

        :param releases: the maximum number of key releases that are passed on.
        """
        self._releases = releases
        self._held = b""  # the incomplete head of a message
        self._left = 0  # missing bytes of the unfinished message
        self._passes = False  # whether this message is passed on

    @property
    def unfinished(self) -> int:
        """The missing bytes of a message whose first part was passed on or removed; 0: none."""
        return self._left

    def from_client(self, data: bytes) -> bytes:
        """Return the messages that may be passed on.

        :raises ProtocolViolation: a message has an unknown length or an invalid head.
        :raises MessageTooBig: a message is above the limits of the shield.
        """
        # A view-only viewer nearly always sends one request for the screen at a time.
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
                self._passes = data[at] in self.passed or (self._releases > 0 and self._is_release(data, at))
            piece = min(self._left, end - at)
            if self._passes:
                passed.append(data[at : at + piece])
            self._left -= piece
            at += piece
        return b"".join(passed)

    def _is_release(self, data: bytes, at: int) -> bool:
        """Return whether the message at ``at`` is complete and releases a key; if so, reduce ``_releases`` by one.

        An incomplete message may lack the bytes that decide this, so it does not count as a release.  Behind the
        shield, no release is missed, because the shield passes on key events only when they are complete.
        """
        if at + self._left > len(data):
            return False
        head = data[at : at + 4]
        released = head[:2] == _KEY_UP or head == _QEMU_KEY_UP
        if released:
            self._releases -= 1
        return released


class FixedSize(ViewOnly):
    """A filter that passes all messages except SetDesktopSize: another viewer controls the size of the screen."""

    __slots__ = ()

    passed: ClassVar[frozenset[int]] = _ALL - {ClientMessage.SET_DESKTOP_SIZE}

    def from_client(self, data: bytes) -> bytes:
        """See ViewOnly."""
        # Nearly always, the data is exactly one key or mouse event, or one request for the screen.
        if EVERYDAY[data[0]] == len(data) and not (self._held or self._left):
            return data
        return super().from_client(data)
