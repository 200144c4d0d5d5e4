"""Pictures of screens: decode what the hypervisor gives, scale it, and encode it.

Everything blocks and is bounded: a hypervisor may give a picture of any size.
"""

import io
from typing import Final

from PIL import Image

from novnc_twisted.compute.interfaces import Picture

MAX_RAW: Final = 64 << 20
"""Bytes of a picture as the hypervisor gives it, at most: 4096 x 4096 pixels of 3 bytes, and some more."""

MAX_PIXELS: Final = 1 << 24
"""Pixels of a picture, at most: those of 4096 x 4096."""

SMALL: Final = 480
"""Pixels of the width up to which a picture is a thumbnail."""

MAX_SMALL: Final = 15_000
"""Bytes of a thumbnail, at most: a page shows fifty of them."""

MAX_BYTES: Final = 700_000
"""Bytes of any picture, at most: in base64 it must fit into one message of the bus."""

_QUALITIES: Final = (80, 60, 40, 20, 8)


class UnusablePicture(Exception):
    """The hypervisor's picture cannot be used; the text says why."""


def convert(raw: bytes, kind: str, width: int | None = None) -> Picture:
    """Encode a screen.

    :param raw: the hypervisor's picture: PPM or PNG.
    :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
    :param width: the width in pixels, at most; None: the screen's own.
    :raises UnusablePicture: it is no such picture, or too large.
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
        data = _encoded(scaled, kind, limit)
        # Only noise is still too large at the lowest quality, and PNG, which has no quality.
        if len(data) <= limit or wanted <= 16:
            return Picture(data, scaled.width, scaled.height)
        wanted = wanted * 3 // 4


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    if width == picture.width:
        return picture
    size = (width, max(1, round(picture.height * width / picture.width)))
    # BOX averages all pixels, so that thin letters stay visible, in a tenth of Lanczos' time.
    return picture.resize(size, Image.Resampling.BOX)


def _encoded(picture: Image.Image, kind: str, limit: int) -> bytes:
    if kind == "png":
        return _saved(picture, "PNG")
    data = b""
    for quality in _QUALITIES:
        data = _saved(picture, kind.upper(), quality=quality)
        if len(data) <= limit:
            break
    return data


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
