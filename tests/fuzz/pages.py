"""What the pages show: the settings of the operator's file, and the pictures of hypervisors."""

import json
from html import escape
from io import BytesIO
from typing import Any, cast

from novnc_twisted.compute.pictures import MAX_BYTES, MAX_PIXELS, MAX_SMALL, SMALL, UnusablePicture, convert
from novnc_twisted.contract.screenshot import FORMATS
from novnc_twisted.http.branded_page import BrandedPage, style_sheet
from novnc_twisted.http.page_settings import PageSettings, read_page_settings
from novnc_twisted.http.static_files import StaticFile

from .tools import Target, fits_a_log, holds, same

_PAGE = b"<html><head><title>t</title></head></html>"
_BEGINS = {"png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "webp": b"RIFF"}
WIDTHS = (None, 16, 100, 480, 2000)


class _File:
    """A file in memory, and a logo in its folder."""

    def __init__(self, content: bytes, logo: bytes) -> None:
        self._content, self._logo = content, logo

    def open(self, mode: str) -> BytesIO:
        return BytesIO(self._content)

    @property
    def parent(self) -> "_File":
        return self

    def __truediv__(self, name: str) -> "_File":
        return _File(self._logo, b"")

    def __str__(self) -> str:
        return "file"


def run_settings(data: bytes) -> None:
    """A file of page settings, and after a zero byte the content of the logo."""
    content, _, logo = data.partition(b"\0")
    try:
        settings = read_page_settings(cast(Any, _File(content, logo)))
    except ValueError as error:
        fits_a_log(str(error), 600, "the error")
        return
    _check(settings)
    page = BrandedPage(settings)
    same(json.loads(page.for_script())["name"], settings.name, "the name for the script")
    file = StaticFile(BytesIO(_PAGE), len(_PAGE), "p", "text/html", "t", unchanging=False)
    html = page.brand(file, ()).content.read().decode()
    meta = f'<meta name="page-settings" content="{escape(page.for_script())}">\n'
    link = f'<link rel="stylesheet" href="{page.style}">\n' if page.style else ""
    same(html, f"<html><head><title>t</title>{meta}{link}</head></html>", "the page")
    sheet = style_sheet(settings)
    holds(sheet.isascii() and not set(sheet) & set("<\\\"'") and "url(" not in sheet, "an unsafe style", sheet)


def _check(settings: PageSettings) -> None:
    for url in filter(None, (settings.help, settings.new_link)):
        holds(url.lower().startswith(("https://", "http://", "mailto:")), "another kind of URL", url)
        holds(url.isprintable() and " " not in url and len(url) <= 2000, "an unsafe URL", url)
    holds(len(settings.name) <= 100 and not set(settings.defaults) & set(settings.fixed), "invalid settings", settings)
    if settings.logo is not None:
        begins = _BEGINS.get(settings.logo.ending, b"")
        holds(settings.logo.data.startswith(begins) and settings.logo.ending in (*_BEGINS, "svg"), "bad logo", settings)


def run_picture(data: bytes) -> None:
    """A hypervisor's picture; the first two bytes choose the format and the width."""
    kind, width = FORMATS[sum(data[:1]) % len(FORMATS)], WIDTHS[sum(data[1:2]) % len(WIDTHS)]
    try:
        picture = convert(data[2:], kind, width)
    except UnusablePicture as error:
        fits_a_log(str(error), 100, "the error")
        return
    limit = MAX_SMALL if width is not None and width <= SMALL else MAX_BYTES
    holds(0 < picture.width <= (width or picture.width), "too wide", picture.width, width)
    holds(0 < picture.width * picture.height <= MAX_PIXELS, "an impossible size", picture.width, picture.height)
    holds(len(picture.data) <= limit or picture.width <= 16, "too many bytes", len(picture.data))


TARGETS = (
    Target(
        "page-settings",
        run_settings,
        1024,
        (
            b'{"name":"Cloud"}',
            b'"logo":"logo.svg"',
            b'"colors":{"accent":"#0b5"}',
            b'"bar":"#123456"',
            b'"help":"https://a.example/"',
            b'"new_link":"mailto:a@b.example"',
            b'"defaults":{"picture":"scale","layout":"de"}',
            b'"fixed":{"view_only":true}',
            b"javascript:alert(1)",
            b"</head><script>",
            b'\\"><b>',
            b'\0<svg xmlns="http://www.w3.org/2000/svg"/>',
            b"\0\x89PNG\r\n\x1a\n",
            b"\0\xff\xd8\xff",
            b"\0RIFF1234WEBP",
        ),
    ),
    Target(
        "picture",
        run_picture,
        1024,
        (
            b"P6\n",
            b"P5 ",
            b"P4 ",
            b"P3 ",
            b"4 2 ",
            b"255\n",
            b"65535\n",
            b"# c\n",
            b"4096 4097 ",
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x0dIHDR",
            b"IDAT",
            b"\0\0\0\0IEND\xaeB`\x82",
            b"tRNS",
            b"PLTE",
        ),
    ),
)
