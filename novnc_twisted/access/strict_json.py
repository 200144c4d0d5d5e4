"""JSON as RFC 8259 defines it: no NaN, no infinity, and no number that a float cannot hold."""

import json
import math
from typing import Any


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.  Bytes are UTF-8.

    :raises ValueError: it is not JSON, is nested too deep, or has a number that is too large.  The error does not
        contain the text.
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        # JSONDecodeError contains the whole text, which may contain a password.
        raise ValueError("no JSON") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):  # such as 1e999; JSON cannot express infinity
        raise ValueError("a number that is too large")
    return number


# Python's own decoder accepts NaN and Infinity, and reads 1e999 as infinity.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
