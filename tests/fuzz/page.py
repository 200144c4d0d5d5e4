"""Paths of the static page: no file outside its folder is opened, and no redirect leads to another host."""

import atexit
import shutil
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from novnc_twisted.novncproxy.page import Page, redirect_of

from .tools import Target, clean_text_of, holds, same

_FILES = ("vnc.html", "app/ui.js", "app/images/icon.svg", ".hidden", "app/.git/config", "a b.html", "é.html")
_pages: list[Page] = []


def page() -> Page:
    """A page with a secret file outside its folder."""
    if not _pages:
        base = Path(tempfile.mkdtemp(prefix="fuzz-page"))
        atexit.register(shutil.rmtree, base, ignore_errors=True)
        for name in _FILES:
            path = base / "web" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (base / "secret.html").write_text("secret")
        (base / "web" / "link.html").symlink_to(base / "secret.html")
        (base / "web" / "up").symlink_to(base)
        _pages.append(Page(base / "web"))
    return _pages[0]


def run(data: bytes) -> None:
    """A path and a query, as in a request line."""
    path, _, query = clean_text_of(data).partition("?")
    file = page().find(path)
    if file is None:
        return
    with file.content:
        content = file.content.read().decode()
    holds(
        content in _FILES and not any(step.startswith(".") for step in content.split("/")),
        "another file",
        path,
        content,
    )
    same((len(content.encode()), file.path.rpartition("/")[2]), (file.size, content.rpartition("/")[2]), "the file")
    location = redirect_of(file, query)
    if location is not None:
        parts = urlsplit(location)
        holds(location.isascii() and location.isprintable(), "an invalid Location", location)
        same((parts.scheme, parts.netloc), ("", ""), "the redirect")
        holds(parts.path and not set(parts.path) & {"/", "\\"}, "another folder", location)
        same(parse_qs(parts.query)["autoconnect"][-1], "1", "autoconnect")


TARGETS = (
    Target(
        "page",
        run,
        192,
        (
            *(f"/{name}".encode() for name in _FILES),
            b"/link.html",
            b"/up/secret.html",
            b"/../secret.html",
            b"%2e%2e/",
            b"%2f",
            b"/",
            b"?token=1",
            b"&path=",
            b"?",
        ),
    ),
)
