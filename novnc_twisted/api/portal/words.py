"""The texts of the portal's pages in the reader's language.

The language of the URL (``?lang=de``) is tried first, then those of the header ``Accept-Language``.  The build makes a
table for each language from the files in novnc_twisted/web/src/locales.  The keys of a table are the English texts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from novnc_twisted.http.request import Request

ENGLISH: Final = "en"

_MAX_WISHES: Final = 20
"""Maximum number of languages that are read from the Accept-Language fields of a request."""

_PLACE: Final = re.compile(r"\{(\w+)\}")
_TRADITIONAL: Final = re.compile(r"zh-(hant|tw|hk|mo)\b")
"""Variants of Chinese whose readers cannot easily read zh-CN."""


class Words:
    """The texts of one language.

    :param table: English text -> translated text; a missing text stays English.
    :ivar language: the value of the HTML attribute ``lang``.
    """

    def __init__(self, language: str, table: Mapping[str, str]) -> None:
        self.language = language
        self.table = table
        self._patterns = [(_pattern(english), text) for english, text in table.items() if _PLACE.search(english)]

    def __call__(self, english: str, **values: object) -> str:
        """Return a translated text, with the values filled in."""
        return _fill(self.table.get(english, english), values)

    def sentence(self, english: str) -> str:
        """Translate a sentence in which the values are already filled in, such as the message of an error."""
        text = self.table.get(english)
        if text is not None:
            return text
        for pattern, text in self._patterns:
            found = pattern.fullmatch(english)
            if found is not None:
                return _fill(text, found.groupdict())
        return english


class Languages:
    """All languages of the pages.

    :param folder: the folder of the built pages; without a build, there is only English.
    """

    def __init__(self, folder: Path) -> None:
        try:
            tables: dict[str, dict[str, str]] = json.loads((folder / "portal.json").read_text("utf-8"))
        except (OSError, ValueError):
            tables = {}
        self._words = {language: Words(language, table) for language, table in tables.items()}
        self._words[ENGLISH] = Words(ENGLISH, {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def table(self, language: str) -> Mapping[str, str]:
        """Return the table of a language: English text -> translated text."""
        return self._words[language].table

    def of(self, request: Request) -> Words:
        """Return the texts in the language that fits a request best."""
        asked = request.parameter("lang")
        wanted = [asked] if asked else []
        wanted += _wishes(",".join(request.headers.get("accept-language", [])))
        return self._words[choose(wanted, tuple(self._words)) or ENGLISH]


def choose(wanted: Iterable[str], offered: Iterable[str]) -> str | None:
    """Return the offered language that fits best; None: no offered language fits.

    The wanted languages are tried in order.  For ``pt-BR``, the best is ``pt-BR``, then ``pt``, then another variant
    such as ``pt-PT``.  Traditional Chinese, such as ``zh-TW``, fits only an offered language of exactly the same name.
    novnc_twisted/web/src/language.js has the same rule.
    """
    names = {each.lower(): each for each in offered}
    for tag in (each.strip().lower() for each in wanted):
        if tag in names:
            return names[tag]
        base = tag.partition("-")[0]
        if not base or _TRADITIONAL.match(tag):
            continue
        similar = [name for name in names if name == base] or [name for name in names if name.startswith(f"{base}-")]
        if similar:
            return names[similar[0]]
    return None


def _wishes(field: str) -> list[str]:
    """Return the languages of Accept-Language, the most wanted first (RFC 9110, section 12.5.4)."""
    found: list[tuple[float, str]] = []
    for item in field.split(",", _MAX_WISHES)[:_MAX_WISHES]:
        tag, _, more = item.partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", more, re.ASCII)
        quality = float(weight[1]) if weight else 1.0
        if quality > 0:
            found.append((quality, tag))
    return [tag for _, tag in sorted(found, key=lambda wish: -wish[0])]


@cache
def _pattern(english: str) -> re.Pattern[str]:
    """Return a pattern for an English text with 1 to 300 characters instead of each placeholder, such as {name}."""
    pieces = _PLACE.split(english)
    # split() returns texts at even indexes, and the names of values at odd indexes.
    pieces[::2] = map(re.escape, pieces[::2])
    pieces[1::2] = [f"(?P<{name}>.{{1,300}}?)" for name in pieces[1::2]]
    return re.compile("".join(pieces))


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), text)
