"""JSON as RFC 8259 defines it: no NaN, no infinity, no float that is too large (1e999), and no lone surrogates."""

from typing import Any

import msgspec

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.  Bytes are UTF-8.

    :raises ValueError: the text is not JSON, is nested too deep, or contains a number that is too large.  The error
        does not contain the text.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        # The error may quote the text, which may contain a password.
        raise ValueError("no JSON") from None


def dumps(value: Any) -> bytes:
    """Return a value as JSON, in UTF-8.  NaN and infinity become null, which no reader accepts as a number.

    :raises TypeError: the value contains a type that cannot be converted to JSON.
    :raises ValueError: the value contains a lone surrogate, is nested too deep, or refers to itself.
    """
    try:
        return _ENCODER.encode(value)
    except RecursionError:
        raise ValueError("nested too deep, or a value that refers to itself") from None
