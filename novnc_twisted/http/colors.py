"""Colors of the pages, with readable contrasts (WCAG 2.2, "contrast ratio" and "relative luminance")."""

import re
from dataclasses import dataclass
from typing import Final, Self

_FORM: Final = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Color:
    """An opaque color in sRGB; each part is from 0 to 255."""

    red: int
    green: int
    blue: int

    @classmethod
    def read(cls, text: object) -> Self:
        """Read ``#rrggbb``.

        :raises ValueError: the text has another form.
        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError("not a color such as #1a2b3c")
        return cls(*(int(part, 16) for part in found.groups()))

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """The relative luminance, from 0 (black) to 1 (white)."""
        parts = [part / 255 for part in (self.red, self.green, self.blue)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(self, other: "Color") -> float:
        """Return the contrast ratio of two colors, from 1 to 21.  Texts need at least 4.5."""
        darker, lighter = sorted((self.luminance, other.luminance))
        return (lighter + 0.05) / (darker + 0.05)

    def mixed(self, other: "Color", share: float) -> "Color":
        """Return this color mixed with another one.

        :param share: the share of the other color, from 0 to 1.
        """
        return Color(
            *(
                round(mine + (its - mine) * share)
                for mine, its in ((self.red, other.red), (self.green, other.green), (self.blue, other.blue))
            )
        )

    def text(self) -> "Color":
        """Return black or white: the one that is easier to read on this color.  The contrast is at least 4.5."""
        return max(BLACK, WHITE, key=self.contrast)

    def readable_on(self, ground: "Color", wanted: float = 4.5) -> "Color":
        """Return this color, or the nearest lighter or darker color that has the wanted contrast to ``ground``.

        If no color has this contrast, return black or white.
        """
        end = ground.text()
        steps = (self.mixed(end, step / _STEPS) for step in range(_STEPS + 1))
        return next((step for step in steps if step.contrast(ground) >= wanted), end)


BLACK: Final = Color(0, 0, 0)
WHITE: Final = Color(255, 255, 255)
