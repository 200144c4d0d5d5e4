"""Dataclasses that must not be changed, for objects of which each session makes many."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def read_only(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Return a decorator for a dataclass with slots, whose fields mypy refuses to assign.

    Python permits the assignment.  With ``frozen=True``, Python would refuse it too, but would set each field with
    ``object.__setattr__``, so an object of 13 fields would take twice as long to make.  The set-up of a session makes
    objects with 100 fields.

    :param kw_only: whether the fields are keyword arguments.
    """
    # unsafe_hash: the hash is made from the values of the fields, as in a frozen dataclass.
    return dataclass(slots=True, kw_only=kw_only, unsafe_hash=True)
