"""Adds an operator's logo and style sheet to the pages below ``/console/``."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from novnc_twisted.api.portal.html import TYPE, tag
from novnc_twisted.http.branded_page import BrandedPage
from novnc_twisted.http.page_settings import PageSettings
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.response_head import DRAWING

_UNCHANGING: Final = ("Cache-Control", "public, max-age=31536000, immutable")


class Branding:
    """Adds the operator's logo and style sheet to pages."""

    def __init__(self) -> None:
        self._branded: BrandedPage | None = None
        self._name = ""

    def use(self, settings: PageSettings | None) -> None:
        """Use other settings for new requests; None: leave pages unchanged."""
        self._branded = None if settings is None else BrandedPage(settings)
        self._name = "" if settings is None else settings.name

    async def answer(
        self, request: Request, segments: tuple[str, ...], page: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the style sheet, the logo, or a page.

        :param segments: the path segments after ``console``.
        :param page: makes the response to any other request.  If this response is an HTML page, the style sheet
            and the logo are added, as far as the operator has set them.
        """
        branded = self._branded
        if branded is None:
            return await page()
        file = branded.find("/".join(segments)) if request.reads and segments else None
        if file is not None:
            with file.content as content:
                headers = (_UNCHANGING, ("Content-Security-Policy", DRAWING))
                return Response(200, content.read(), headers, content_type=file.content_type)
        response = await page()
        if response.content_type != TYPE or not isinstance(response.body, bytes):
            return response
        return replace(response, body=self._brand(branded, f"{request.prefix}/console/", response.body))

    def _brand(self, branded: BrandedPage, base: str, html: bytes) -> bytes:
        link = tag("link", rel="stylesheet", href=base + branded.style) if branded.style else ""
        html = html.replace(b"</head>", f"{link}</head>".encode(), 1)
        if not branded.logo:
            return html
        logo = tag("img", class_="logo", src=base + branded.logo, alt=self._name)
        return html.replace(b"<header>", f"<header>{logo}".encode(), 1)
