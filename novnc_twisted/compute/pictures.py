"""Converts pictures of screens: decodes the hypervisor's picture, scales it, and encodes it.

The functions block.  All sizes are limited, since a hypervisor may send a picture of any size.
"""

import io
from typing import Final

from PIL import Image

from novnc_twisted.compute.interfaces import Picture

MAX_RAW: Final = 64 << 20
"""Maximum number of bytes of the hypervisor's picture: 4096 x 4096 pixels of 3 bytes, with some room.

Checked while libvirt sends the picture (:mod:`novnc_twisted.compute.libvirt.screenshot`), not here.
"""

MAX_PIXELS: Final = 1 << 24
"""Maximum number of pixels of a picture: 4096 x 4096."""

_LONGEST: Final = {"png": 65_500, "jpeg": 65_500, "webp": 16_383}
"""Maximum width and height in pixels in each format.

PNG has the limit of JPEG, because each picture is encoded as a JPEG first (:func:`_encoded`).
"""

SMALL: Final = 480
"""A picture that is requested with at most this width in pixels is a thumbnail."""

MAX_SMALL: Final = 15_000
"""Maximum number of bytes of a thumbnail: a list of servers may show fifty of them at a time."""

MAX_BYTES: Final = 700_000
"""Maximum number of bytes of an encoded picture: in base64, it must fit into one message of the bus."""

LARGE: Final = 1 << 21
"""A picture with more pixels than this is large; 1920 x 1080 is not."""

_QUALITIES: Final = (80, 60, 40, 20, 8)
_HOPELESS: Final = 12
"""If a JPEG exceeds the limit by more than this factor, even a JPEG of the lowest quality would exceed the limit."""

_NARROWEST: Final = 16
"""A picture with too many bytes is made narrower, down to this number of pixels.

A picture of this width is returned even if it still has too many bytes.
"""


class UnusablePicture(Exception):
    """The hypervisor's picture cannot be used; the text says why."""


def convert(raw: bytes, kind: str, width: int | None = None) -> Picture:
    """Encode the picture of a screen.  If the result would have too many bytes, the picture is made smaller.

    :param raw: the hypervisor's picture: PPM or PNG.
    :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
    :param width: the maximum width in pixels; None: the screen's own width.
    :raises UnusablePicture: the picture is invalid, too large, or too wide or high for the format.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=("PPM", "PNG")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise UnusablePicture(f"the screen has {opened.width} x {opened.height} pixels")
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusablePicture(f"not a picture: {type(error).__name__}") from None
    limit = MAX_SMALL if width is not None and width <= SMALL else MAX_BYTES
    wanted = min(width or picture.width, picture.width)
    while True:
        scaled = _scaled(picture, wanted)
        if max(scaled.size) > _LONGEST[kind]:
            raise UnusablePicture(f"{scaled.width} x {scaled.height} pixels are too many for {kind}")
        data, fits = _encoded(scaled, kind, limit)
        # Usually, the first size fits.  Exceptions are screens that show noise, and PNG, which has no lower quality.
        if fits or wanted <= _NARROWEST:
            return Picture(data, scaled.width, scaled.height)
        # The number of bytes grows with the area, so the width is reduced by the square root of the excess.
        wanted = max(_NARROWEST, min(wanted * 3 // 4, int(wanted * (limit / len(data)) ** 0.5)))


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    if width == picture.width:
        return picture
    size = (width, max(1, round(picture.height * width / picture.width)))
    # BOX averages all pixels, so that thin letters stay visible, and takes a tenth of the time of Lanczos.
    return picture.resize(size, Image.Resampling.BOX)


def _encoded(picture: Image.Image, kind: str, limit: int) -> tuple[bytes, bool]:
    """Return the encoded picture, and whether it is within the limit.

    If the returned picture exceeds the limit, it may be a JPEG although ``kind`` is another format.
    """
    # For every format, try JPEG first, which takes a thirtieth of the time of the others.  If another format came
    # first, a guest that shows noise on a large screen could occupy a processor for a minute.
    data, quality = b"", _QUALITIES[-1]
    for quality in _QUALITIES:
        data = _saved(picture, "JPEG", quality=quality)
        if len(data) <= limit or len(data) > _HOPELESS * limit:
            break
    is_large = picture.width * picture.height > LARGE
    if kind != "jpeg" and is_large and quality != _QUALITIES[0]:
        # A JPEG of the highest quality was too large.  With so much detail, the other formats would take seconds, so
        # let convert() reduce the size first.
        return data, False
    if kind != "jpeg" and (len(data) <= limit or picture.width <= _NARROWEST):
        if kind == "png":
            data = _saved(picture, "PNG")
        else:
            for lower in (one for one in _QUALITIES if one <= quality):
                # A large picture is encoded by the fastest method, which makes the file larger by a fifth.
                data = _saved(picture, kind.upper(), quality=lower, method=0 if is_large else 4)
                if len(data) <= limit:
                    break
    return data, len(data) <= limit


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
