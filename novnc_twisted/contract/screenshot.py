"""A picture of a server's screen, as its compute host sends it."""

import base64
import binascii
from typing import Annotated, Any, Final

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record

FORMATS: Final = ("png", "jpeg", "webp")
"""The formats of pictures that can be requested."""

MIN_WIDTH: Final = 16
MAX_WIDTH: Final = 8192
"""The largest width in pixels that can be requested."""


def picture_width(value: Any) -> int | None:
    """Check a width in pixels; None stands for the screen's own width."""
    if value is None or (type(value) is int and MIN_WIDTH <= value <= MAX_WIDTH):
        return value
    raise ValueError(f"not a width of {MIN_WIDTH} to {MAX_WIDTH} pixels")


def _base64(value: Any) -> str:
    try:
        if isinstance(value, str) and base64.b64decode(value, validate=True):
            return value
    except (binascii.Error, ValueError):
        pass
    raise ValueError("not a picture in base64")


@record
class Screenshot(Record):
    """A picture.

    :ivar kind: one of :data:`FORMATS`.
    :ivar width: in pixels.
    :ivar height: in pixels.
    :ivar data: the picture file (:attr:`content`) in base64.
    """

    kind: Annotated[str, fields.one_of(*FORMATS)]
    width: Annotated[int, fields.count]
    height: Annotated[int, fields.count]
    data: Annotated[str, _base64]

    @property
    def content(self) -> bytes:
        """The picture file: the bytes in the format :attr:`kind`."""
        return base64.b64decode(self.data)
