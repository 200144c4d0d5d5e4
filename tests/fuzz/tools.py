"""Helpers of the targets: report findings, and cut a stream as a network does."""

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

SLOWLY = 300
"""Length of the longest input that is also fed byte by byte."""


class Broken(AssertionError):
    """An invariant does not hold."""


def broken(what: str, *values: object) -> NoReturn:
    """Report a finding."""
    raise Broken(": ".join([what, *(repr(value)[:300] for value in values)]))


def holds(condition: object, what: str, *values: object) -> None:
    """Report a finding unless a condition holds.  ``assert`` is not used, because ``python -O`` removes it."""
    if not condition:
        broken(what, *values)


def same(got: object, wanted: object, what: str) -> None:
    """Report a finding unless both are equal."""
    if got != wanted:
        broken(f"{what} differs", got, wanted)


def fits_a_log(text: str, limit: int, what: str) -> None:
    """Check a text for the log: bounded, one line, only visible characters."""
    holds(len(text) <= limit, f"{what} is longer than {limit}", len(text))
    holds(text.isprintable(), f"{what} is not printable", text)


def cuttings(data: bytes, at: int | None = None) -> Iterator[list[bytes]]:
    """Yield the data in chunks: byte by byte if it is short, in two, and in several.  The data determines the cuts.

    :param at: where to cut in addition.
    """
    if len(data) <= SLOWLY:
        yield [data[place : place + 1] for place in range(len(data))]
    chance = random.Random(zlib.crc32(data))
    for count in (1, 6):
        places = {chance.randrange(len(data) + 1) for _ in range(count)}
        if at is not None:
            places.add(at)
        yield [data[begin:end] for begin, end in pairwise(sorted({0, len(data), *places}))]


def text_of(data: bytes) -> str:
    """The data as UTF-8, with lone surrogates for invalid bytes."""
    return data.decode("utf-8", "surrogateescape")


def clean_text_of(data: bytes) -> str:
    """The data as UTF-8, with U+FFFD for invalid bytes."""
    return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under test.

    :ivar name: the name on the command line and of the corpus folder.
    :ivar run: takes any bytes, and raises only for a finding.
    :ivar longest: bytes of the longest input that the drivers make.
    :ivar words: pieces for inputs, since random bytes would not contain them.
    """

    name: str
    run: Callable[[bytes], None]
    longest: int = 1024
    words: tuple[bytes, ...] = ()
