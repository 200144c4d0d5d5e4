"""Adds an operator's settings to pages: a style sheet, a logo, and settings for the page's script."""

import gzip
import json
from collections.abc import Container
from dataclasses import replace
from hashlib import sha256
from html import escape
from io import BytesIO
from typing import Final

from novnc_twisted.http.colors import Color
from novnc_twisted.http.page_settings import PageSettings
from novnc_twisted.http.static_files import TYPES, StaticFile

DARK: Final = Color.read("#252d38")
LIGHT: Final = Color.read("#e7ebf0")
"""The backgrounds on which the accent color has the least contrast, in the dark and in the light color scheme of the
pages (``--hover`` of style.css)."""

_CACHED: Final = 16
"""Maximum number of pages in the cache.  A further page clears the cache, so that pages of replaced files do not stay
in memory."""


class BrandedPage:
    """Adds the settings to pages, and provides the files of the style sheet and the logo.

    :ivar style: the file name of the style sheet; empty if the settings have neither colors nor a logo.
    :ivar logo: the file name of the logo; empty if the operator has set no logo.
    """

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._files: dict[str, StaticFile] = {}
        self._data: dict[str, bytes] = {}
        self._pages: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self.style = self._add("site", style_sheet(settings).encode(), "css")
        self.logo = self._add("site-logo", settings.logo.data, settings.logo.ending) if settings.logo else ""

    def find(self, path: str) -> StaticFile | None:
        """Return the style sheet or the logo; None for another path."""
        name = path.removeprefix("/")
        return replace(self._files[name], content=BytesIO(self._data[name])) if name in self._files else None

    def brand(self, page: StaticFile, accepted: Container[str]) -> StaticFile:
        """Return a page with the settings added.

        :param page: the uncompressed file; this method closes it.
        :param accepted: the content codings that the client accepts.
        """
        with page.content as content:
            plain, compressed = self._pages.get((page.path, page.tag)) or self._brand(page, content.read())
        zipped = "gzip" in accepted
        data = compressed if zipped else plain
        return replace(page, content=BytesIO(data), size=len(data), encoding="gzip" if zipped else None, varies=True)

    def _brand(self, page: StaticFile, html: bytes) -> tuple[bytes, bytes]:
        """Return a page with the settings, plain and compressed with gzip."""
        head = f'<meta name="page-settings" content="{escape(self.for_script())}">\n'
        if self.style:
            head += f'<link rel="stylesheet" href="{self.style}">\n'
        data = html.replace(b"</head>", head.encode() + b"</head>", 1)
        if len(self._pages) >= _CACHED:
            self._pages.clear()
        whole = self._pages[page.path, page.tag] = data, gzip.compress(data)
        return whole

    def for_script(self) -> str:
        """Return the settings as JSON, in the form that the script of the console page reads (``site.js``)."""
        settings = self._settings
        return json.dumps(
            {
                "name": settings.name,
                "logo": self.logo,
                "help": settings.help,
                "newLink": settings.new_link,
                "defaults": dict(settings.defaults),
                "fixed": dict(settings.fixed),
            }
        )

    def _add(self, name: str, data: bytes, ending: str) -> str:
        if not data:
            return ""
        tag = sha256(data).hexdigest()[:16]
        path = f"{name}-{tag}.{ending}"
        self._data[path] = data
        self._files[path] = StaticFile(
            content=BytesIO(),
            size=len(data),
            path=path,
            content_type=TYPES[f".{ending}"],
            tag=f'"{tag}"',
            unchanging=True,
        )
        return path


def style_sheet(settings: PageSettings) -> str:
    """Return a style sheet with rules for the logo, and with colors for the variables of the pages' own style sheet."""
    rules = []
    if settings.accent is not None:
        dark, light = (settings.accent.readable_on(ground) for ground in (DARK, LIGHT))
        rules.append(_rule(":root", {"accent": dark, "on-accent": dark.text()}))
        rules.append(
            f"@media (prefers-color-scheme: light) {{ {_rule(':root', {'accent': light, 'on-accent': light.text()})} }}"
        )
    if settings.logo is not None:
        rules.append("header .logo { flex: none; height: 1.7rem; max-width: 9rem; object-fit: contain; }")
        rules.append("@media (max-width: 34rem) { .bar .logo { max-width: 3.5rem; } }")
    if settings.bar is not None:
        rules.append(_bar(settings.bar, settings.accent))
    return "\n".join(rules)


def _bar(bar: Color, accent: Color | None) -> str:
    ink = bar.text()
    hover = bar.mixed(ink, 0.12)
    shown = (accent or ink).readable_on(hover)
    variables = {
        "bar": bar,
        "card": bar,
        "ink": ink,
        "soft": bar.mixed(ink, 0.6).readable_on(bar),
        "hover": hover,
        "line": bar.mixed(ink, 0.3),
        "accent": shown,
        "on-accent": shown.text(),
    }
    # Set ``color``, too.  Otherwise the bar would inherit the body's text color, which is computed from the body's
    # ``--ink``, not from the bar's.
    return _rule("body > header, body > .show", variables, "background: var(--bar); color: var(--ink);")


def _rule(selector: str, variables: dict[str, Color], more: str = "") -> str:
    texts = [f"--{name}: {color};" for name, color in variables.items()]
    return f"{selector} {{ {' '.join(filter(None, [*texts, more]))} }}"
