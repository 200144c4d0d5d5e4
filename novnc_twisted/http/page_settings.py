"""The operator's settings for the pages, from a JSON file: logo, colors, links, and settings of the console page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from novnc_twisted.access import strict_json
from novnc_twisted.contract import fields
from novnc_twisted.http.colors import Color
from novnc_twisted.keyboard.layouts import LAYOUTS

MAX_FILE: Final = 64 * 1024
"""Maximum number of bytes of the JSON file."""

MAX_LOGO: Final = 256 * 1024
"""Maximum number of bytes of the logo."""

LANGUAGES: Final = ("de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt-BR", "ru", "uk", "zh-CN")
"""The languages of the pages."""

_LINK: Final = fields.text_up_to(2000)
_SVG: Final = "{http://www.w3.org/2000/svg}svg"
# Minimum contrast of the bar's normal text.  Readable text needs less (4.5), but hints and buttons under the mouse
# have less contrast than the normal text.
_BAR_CONTRAST: Final = 7.0


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture.

    :ivar ending: the ending of the file name: ``svg``, ``png``, ``jpg`` or ``webp``.
    """

    data: bytes
    ending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """The settings.  A setting that is missing in the file leaves the pages unchanged.

    :ivar name: the name of the cloud or company, which screen readers read in place of the logo.
    :ivar logo: the picture to show in the bar; None: no logo.
    :ivar accent: the color of main buttons and of chosen items.
    :ivar bar: the color of the bar at the top of the pages.
    :ivar help: the URL of the operator's own help.  The console page replaces ``{language}`` with the code of its
        language.
    :ivar new_link: the URL where people get a new console link.  The console page replaces ``{language}`` here, too.
    :ivar defaults: settings of the console page that apply until a person chooses others.
    :ivar fixed: settings of the console page that nobody can change.
    """

    name: str = ""
    logo: Logo | None = None
    accent: Color | None = None
    bar: Color | None = None
    help: str = ""
    new_link: str = ""
    defaults: Mapping[str, str | bool] = field(default_factory=dict)
    fixed: Mapping[str, str | bool] = field(default_factory=dict)


def read_page_settings(path: Path) -> PageSettings:
    """Read the file, and the logo that it names.

    :raises ValueError: a file or a setting cannot be used.  The text is one clause, for an error line that begins
        with the name of the option that contains the path.
    """
    found = _object(strict_json.loads(_content(path, MAX_FILE)), "the file")
    logo = found.pop("logo", None)
    colors = _checked(_object(found.pop("colors", {}), "colors"), {"accent": Color.read, "bar": _bar}, "colors.")
    checks: dict[str, Callable[[Any], Any]] = {
        "name": fields.text_up_to(100),
        "help": _url,
        "new_link": _url,
        "defaults": partial(_choices, "defaults."),
        "fixed": partial(_choices, "fixed."),
    }
    values = _checked(found, checks)
    both = set(values.get("defaults", ())) & set(values.get("fixed", ()))
    if both:
        raise ValueError(f"{min(both)} is in defaults and in fixed")
    return PageSettings(logo=None if logo is None else _logo(path.parent, logo), **colors, **values)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return dict(value)


def _checked(values: Mapping[str, Any], checks: Mapping[str, Callable[[Any], Any]], prefix: str = "") -> dict[str, Any]:
    """Check each value, and return the results of the checks.

    :raises ValueError: a name is unknown, or a value is wrong.
    """
    found = {}
    for name, value in values.items():
        if name not in checks:
            shown = name[:50] if name.isprintable() else ascii(name[:50])
            raise ValueError(f"{prefix}{shown} is unknown; known are {', '.join(checks)}")
        try:
            found[name] = checks[name](value)
        except ValueError as error:
            text = str(error)
            # An error from inside of ``defaults`` or ``fixed`` already begins with the full name (``fixed.layout``).
            raise ValueError(text if text.startswith(f"{name}.") else f"{prefix}{name} is {text}") from None
    return found


def _choices(prefix: str, value: Any) -> dict[str, Any]:
    checks = {
        "picture": fields.one_of("scale", "original", "remote"),
        "layout": fields.one_of(*LAYOUTS),
        "language": fields.one_of(*LANGUAGES),
        "save_data": fields.boolean,
        "view_only": fields.boolean,
    }
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return _checked(value, checks, prefix)


def _url(value: Any) -> str:
    text = _LINK(value)
    if " " in text:
        raise ValueError("not a URL: it has a space")
    try:
        parts = urlsplit(text)
        is_usable = bool(parts.path if parts.scheme == "mailto" else parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable or not text.isprintable() or parts.scheme not in ("https", "http", "mailto"):
        raise ValueError("not a URL with https, http or mailto")
    return text


def _bar(value: Any) -> Color:
    color = Color.read(value)
    if color.contrast(color.text()) < _BAR_CONTRAST:
        raise ValueError(
            f"too close to medium brightness: its contrast with black or with white must be at least {_BAR_CONTRAST:g} "
            "(grays: up to #595959, or from #959595)"
        )
    return color


def _content(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise ValueError(f"{path} is larger than {limit // 1024} KiB")
    return data


def _logo(folder: Path, name: Any) -> Logo:
    try:
        path = folder / fields.short_text(name)
    except ValueError:
        raise ValueError("logo is not the name of a file") from None
    data = _content(path, MAX_LOGO)
    ending = _ending(data)
    if not ending:
        raise ValueError(f"logo is not a picture in SVG, PNG, JPEG or WebP: {path}")
    return Logo(data, ending)


def _ending(data: bytes) -> str:
    """Return the file ending that fits the content of a picture; empty if it is not a known picture."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    try:
        return "svg" if fromstring(data, forbid_dtd=True).tag == _SVG else ""
    except (DefusedXmlException, SyntaxError, ValueError, LookupError):  # ParseError is a SyntaxError
        return ""
