"""Dataclasses whose objects must not be changed.  Each session makes many such objects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def read_only(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Return a decorator that makes a dataclass with slots.  mypy refuses assignments to the fields of its objects.

    Python permits such assignments.  With ``frozen=True``, Python would refuse them too, but would set each field with
    ``object.__setattr__``, so an object of 13 fields would take twice as long to make.  The set-up of a session makes
    objects with 100 fields in total.

    :param kw_only: whether the fields are keyword arguments.
    """
    # unsafe_hash: the hash is made from the values of the fields, as in a frozen dataclass.
    return dataclass(slots=True, kw_only=kw_only, unsafe_hash=True)
