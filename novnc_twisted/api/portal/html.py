"""Makes the HTML of the pages.  :func:`tag` and :func:`text` escape every value that is not :class:`Markup`."""

from html import escape
from typing import Final

from novnc_twisted.api.portal.words import Words
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response

TYPE: Final = "text/html; charset=utf-8"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    # The form that opens a console is redirected to the proxy, which has another origin.
    "form-action 'self' http: https:; frame-ancestors 'none'; base-uri 'none'"
)


class Markup(str):
    """HTML that is already escaped."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return a value as escaped HTML."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, /, *children: object, **attributes: str | bool | None) -> Markup:
    """Return an element.

    :param children: Markup, or texts, which are escaped.
    :param attributes: ``class_`` is written as ``class``, and ``data_id`` as ``data-id``.  True: an attribute without
        a value; False, None: no attribute.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        written.append(f" {label}" if value is True else f' {label}="{escape(str(value))}"')
    opening = f"<{name}{''.join(written)}>"
    if name in ("input", "link", "meta", "img", "br"):
        return Markup(opening)
    return Markup(f"{opening}{''.join(map(text, children))}</{name}>")


def page(
    request: Request,
    words: Words,
    title: str,
    *body: object,
    script: str = "",
    style: str = "",
    status: int = 200,
    frames: bool = False,
) -> Response:
    """Return a page.

    :param words: the texts of the page's language.
    :param script: the path below ``/console/`` of the page's script; empty: no script.
    :param style: the path below ``/console/`` of the page's style sheet; empty: no style sheet.
    :param frames: whether the page may show consoles in frames.  The consoles come from proxies, which have other
        origins.
    """
    base = f"{request.prefix}/console/"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("link", rel="icon", href=f"{base}favicon.svg", type="image/svg+xml"),
    ]
    if style:
        head.append(tag("link", rel="stylesheet", href=f"{base}{style}"))
    if script:
        head.append(tag("script", type="module", src=f"{base}{script}"))
    document = tag("html", tag("head", *head), tag("body", *body, data_base=base), lang=words.language)
    headers = (
        ("Content-Security-Policy", f"{POLICY}; frame-src http: https:" if frames else POLICY),
        ("Referrer-Policy", "same-origin"),
        ("Vary", "Cookie, Accept-Language"),
    )
    return Response(status, f"<!doctype html>{document}\n".encode(), headers, content_type=TYPE)


def see_other(location: str, *headers: tuple[str, str]) -> Response:
    """Return a redirect (303) to a page that the browser opens with GET, for example after a form."""
    return Response(303, None, (("Location", location), *headers))
