"""Strict JSON: no NaN and no infinity (as in RFC 8259), no number that is too large for a float, no lone surrogates."""

from typing import Any, Final

import orjson

# Dataclasses are refused, because they may have fields that must not be sent, such as the password of a ConnectInfo.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.  Bytes are UTF-8.

    :raises ValueError: the text is not JSON, is nested too deep, or has a number that is too large.  The error
        does not contain the text.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        # The error of orjson contains the whole text, which may contain a password.
        raise ValueError("no JSON") from None


def dumps(value: Any) -> bytes:
    """Return a value as JSON, in UTF-8.  NaN and infinity become null: the caller must not pass them.

    :raises TypeError: the value contains a type that cannot be converted to JSON, a key that is not a text, an integer
        of more than 64 bits, or a lone surrogate; or the value is nested too deep, or refers to itself.
    """
    return orjson.dumps(value, _list_of, _OPTIONS)


def _list_of(value: Any) -> list[Any]:
    """Return a named tuple as a list; orjson calls this for each value that it does not convert itself."""
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
