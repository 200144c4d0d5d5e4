"""The keys of a PC keyboard: their codes in Linux (``linux/input-event-codes.h``) and their names in the API.

In the main block, Linux's codes are the scan codes of set 1 (IBM PC/XT).  libvirt translates all codes for the
hypervisor.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

Chord = tuple[int, ...]
"""The codes of keys that are pressed in this order, held together, and then released."""

SHIFT: Final = 42
ALTGR: Final = 100
ENTER: Final = 28
TAB: Final = 15
SPACE: Final = 57

INTERNATIONAL: Final = frozenset((86, 89, 124))
"""Printing keys that not every keyboard has: the key beside the left Shift, and two keys of Japanese keyboards."""

PRINTING: Final = (
    *(41, *range(2, 14), 124),  # `, then 1 to =, and Yen
    *(*range(16, 28), 43),  # Q to ], and backslash
    *range(30, 41),  # A to '
    *(86, *range(44, 54), 89),  # the key beside the left Shift, then Z to /, and Ro
)
"""The keys that type characters, in the same order as in the texts of :mod:`.layout_data`."""

_NAMED: Final = (
    "esc=1 escape=1 backspace=14 tab=15 enter=28 return=28 space=57 "
    "ctrl=29 shift=42 alt=56 altgr=100 super=125 meta=125 menu=127 "
    "rightctrl=97 rightshift=54 rightalt=100 rightsuper=126 "
    "capslock=58 numlock=69 scrolllock=70 printscreen=99 sysrq=99 pause=119 "
    "home=102 up=103 pageup=104 left=105 right=106 end=107 down=108 pagedown=109 insert=110 delete=111 del=111 "
    "f1=59 f2=60 f3=61 f4=62 f5=63 f6=64 f7=65 f8=66 f9=67 f10=68 f11=87 f12=88"
)

_LABELS: Final = "`1234567890-= qwertyuiop[]\\asdfghjkl;' zxcvbnm,./ "
"""The labels of the keys of :data:`PRINTING` on a US keyboard; a space for each key that a US keyboard lacks."""

KEYS: Final = MappingProxyType(
    {name: int(code) for name, _, code in (pair.partition("=") for pair in _NAMED.split())}
    | {label: code for label, code in zip(_LABELS, PRINTING, strict=True) if label != " "}
)
"""Name of a key -> its code.  A key that types characters is named by its label on a US keyboard."""


class UnknownKey(ValueError):
    """No key has this name, or the key occurs earlier in the chord.  The text of the error is the name."""


def chord_of(names: Iterable[str]) -> Chord:
    """Return the codes of keys.  Names may be in upper or lower case.

    :raises UnknownKey: a name is unknown, or two names mean the same key.
    """
    codes: list[int] = []
    for name in names:
        code = KEYS.get(name.lower())
        if code is None or code in codes:
            raise UnknownKey(name)
        codes.append(code)
    return tuple(codes)
