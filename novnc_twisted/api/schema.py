"""Checks of request bodies, with the error sentences of nova's JSON schemas."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from novnc_twisted.http.errors import HTTPError

_SHOWN = 200
"""Maximum number of characters of a client's value that an error repeats."""


def choices(body: Any, name: str, fields: Mapping[str, Sequence[str]], *, lenient: bool = False) -> dict[str, str]:
    """Return the fields of a body ``{name: {field: one of its choices, ...}}``.  All fields are required.

    :param fields: the name of each field and its choices.
    :param lenient: whether to ignore unknown fields, as nova does below ``/v2``; False: they are refused.
    :raises HTTPError: 400: the body is wrong.
    """
    if not isinstance(body, dict):
        raise HTTPError(400, "Malformed request body")
    _object(body, "body", [name], lenient)
    values = body[name]
    if not isinstance(values, dict):
        raise _invalid(name, values, f"{_shown(values, quoted=True)} is not of type 'object'")
    _object(values, name, list(fields), lenient)
    for field, allowed in fields.items():
        value = values[field]
        if not isinstance(value, str) or value not in allowed:
            raise _invalid(field, value, f"{_shown(value, quoted=True)} is not one of {list(allowed)}")
    return {field: values[field] for field in fields}


def properties(body: Any, checks: Mapping[str, Callable[[Any], Any]], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a body ``{field: value, ...}``, with the values that the checks return.

    :param checks: for each allowed field, a function that returns the checked value, or raises ValueError with a text
        such as "not a number".
    :param required: the fields that must not be missing.
    :raises HTTPError: 400: the body is wrong.
    """
    if not isinstance(body, dict):
        raise HTTPError(400, "Malformed request body")
    _object(body, "body", required, False, optional=checks)
    values: dict[str, Any] = {}
    for field, value in body.items():
        try:
            values[field] = checks[field](value)
        except ValueError as error:
            raise _invalid(field, value, f"{_shown(value, quoted=True)} is {error}") from None
    return values


def _object(
    value: dict[str, Any], name: str, required: Sequence[str], lenient: bool, optional: Collection[str] = ()
) -> None:
    """Check that an object has all required fields and, unless ``lenient``, no unknown field."""
    for field in required:
        if field not in value:
            raise _invalid(name, value, f"'{field}' is a required property")
    others = [field for field in value if field not in required and field not in optional]
    if others and not lenient:
        listed = _shown(", ".join(repr(field) for field in others))
        verb = "was" if len(others) == 1 else "were"
        raise _invalid(name, value, f"Additional properties are not allowed ({listed} {verb} unexpected)")


def _invalid(name: str, value: Any, why: str) -> HTTPError:
    return HTTPError(400, f"Invalid input for field/attribute {name}. Value: {_shown(value)}. {why}")


def _shown(value: Any, *, quoted: bool = False) -> str:
    text = value if isinstance(value, str) and not quoted else repr(value)
    # Long values are cut, so that a client that sends a megabyte does not get a megabyte back.
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
