"""Finds the keys that type a text on a keyboard layout, by the same rules as the console page (``web/src/layouts.js``).

The guest turns scan codes into characters by its own layout, so the keys must be those of the guest's layout.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from novnc_twisted.keyboard.keys import ALTGR, ENTER, INTERNATIONAL, PRINTING, SHIFT, SPACE, TAB, Chord
from novnc_twisted.keyboard.layout_data import DATA

LAYOUTS: Final = tuple(sorted(DATA))
"""The names of the layouts."""

# The modifier keys of each level of a layout, and their cost.  AltGr costs most, because operating systems differ most
# in the characters of AltGr.
_LEVELS: Final = (((), 0.0), ((SHIFT,), 1.0), ((ALTGR,), 3.0), ((ALTGR, SHIFT), 5.0))
_INTERNATIONAL_COST: Final = 1.5
_DEAD_COST: Final = 2.0

_WITH_SPACE: Final = {"^": "\u0302", "`": "\u0300", "~": "\u0303"}
_TWICE: Final = {
    "\u00b4": "\u0301",
    "\u00a8": "\u0308",
    "\u00af": "\u0304",
    "\u00b8": "\u0327",
    "\u02c7": "\u030c",
    "\u02dd": "\u030b",
}
"""How dead keys type an accent that stands alone.

Both tables map the accent to a combining mark; the layouts denote a dead key by its combining mark.  An accent of
``_WITH_SPACE`` is typed by the dead key and Space.  An accent of ``_TWICE`` is typed by pressing the dead key twice.
These are the rules of X's compose tables.
"""


class CannotType(ValueError):
    """A layout has no key for a character.

    :ivar character: the character.
    """

    def __init__(self, character: str) -> None:
        super().__init__(f"no key for {character!r}")
        self.character = character


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to type a character.

    :ivar cost: if there are several ways to type a character, the way with the lowest cost is used.
    """

    chords: tuple[Chord, ...]
    cost: float


def spell(text: str, layout: str) -> list[tuple[Chord, ...]]:
    """Return the chords for each character of a text.  A line break becomes Enter.

    The text is normalized to NFC first, so a letter and its marks may become one character.

    :param layout: one of :data:`LAYOUTS`.
    :raises CannotType: the layout has no keys for a character.
    """
    ways = _direct(layout)
    spelt: dict[str, tuple[Chord, ...]] = {}
    characters = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    for character in characters:
        if character not in spelt:
            spelt[character] = _spell_one(character, ways)
    return [spelt[character] for character in characters]


def _spell_one(character: str, ways: Mapping[str, _Way]) -> tuple[Chord, ...]:
    """Return the chords of the cheapest way to type a character, with or without dead keys."""
    # For a combining mark, ``ways`` has its dead key.  This key does not type the mark, but changes the next letter.
    direct = None if unicodedata.combining(character) else ways.get(character)
    found = [way for way in (direct, *_composed(character, ways)) if way is not None]
    if not found:
        raise CannotType(character)
    return min(found, key=lambda way: way.cost).chords


@cache
def _direct(layout: str) -> Mapping[str, _Way]:
    """Return the cheapest chord for each character that one chord types.

    A combining mark stands for its dead key.
    """
    found = {" ": _Way(((SPACE,),), 0.0), "\n": _Way(((ENTER,),), 0.0), "\t": _Way(((TAB,),), 0.0)}
    # The first text is the title of the layout.  Each other text has the characters of one level.  A space, or a
    # missing character at the end of a text, means that the key types nothing at this level.
    for text, (modifiers, level_cost) in zip(DATA[layout][1:], _LEVELS, strict=False):
        for character, code in zip(text, PRINTING, strict=False):
            cost = level_cost + (_INTERNATIONAL_COST if code in INTERNATIONAL else 0.0)
            if character != " " and (character not in found or cost < found[character].cost):
                found[character] = _Way(((*modifiers, code),), cost)
    return found


def _composed(character: str, ways: Mapping[str, _Way]) -> Iterable[_Way | None]:
    """Return the ways to type a character with dead keys.

    An accent that stands alone has one way (see ``_WITH_SPACE`` and ``_TWICE``).  A letter with n marks has n ways,
    with 1 to n dead keys.  The way with k dead keys presses the dead keys of the last k marks, the last mark first, and
    then the key that types the letter with the other marks.  For example, U+1EBF (e with circumflex and acute) is
    typed by the dead keys acute and circumflex and the key e, or by the dead key acute and the key of e with
    circumflex.

    :return: the ways; None stands for a way that needs a key that the layout does not have.
    """
    if character in _WITH_SPACE:
        return [_sequence([ways.get(_WITH_SPACE[character]), ways.get(" ")])]
    if character in _TWICE:
        return [_sequence([ways.get(_TWICE[character])] * 2)]
    decomposed = unicodedata.normalize("NFD", character)
    letter, marks = decomposed[0], decomposed[1:]
    if not unicodedata.category(letter).startswith("L"):
        return []
    return [
        _sequence(
            [
                *(ways.get(mark) for mark in reversed(marks[i:])),
                ways.get(unicodedata.normalize("NFC", letter + marks[:i])),
            ]
        )
        for i in range(len(marks))
    ]


def _sequence(presses: Sequence[_Way | None]) -> _Way | None:
    """Join several ways, one after the other, into one way; return None if one of them is None."""
    known = [way for way in presses if way is not None]
    if len(known) < len(presses):
        return None
    chords = tuple(chord for way in known for chord in way.chords)
    return _Way(chords, sum(way.cost for way in known) + _DEAD_COST)
