"""The static page: which file a path means.  Nothing outside of the folder, no listing, nothing hidden."""

import os
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

SHIPPED: Final = Path(__file__).resolve().parent.parent / "web" / "dist"
"""The page that comes with the package."""

NOT_BUILT: Final = "The console page is not installed. Build it, or point the option web at a folder of noVNC."

_MEANT: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    (): ("index.html", "vnc_auto.html", "vnc_lite.html", "vnc.html"),
    ("vnc_auto.html",): ("vnc_auto.html", "vnc_lite.html"),  # its name in noVNC since 1.0
}
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))  # the smaller one first
_UNCHANGING = re.compile(r".*-[0-9A-Za-z_]{8,}\.[a-z0-9]+")  # the build puts a hash of the content into the name
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".oga": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file to be served.

    :ivar content: open at its beginning; whoever takes it closes it.
    :ivar size: bytes.
    :ivar path: its path in the folder, with slashes.
    :ivar tag: its ETag.
    :ivar unchanging: whether its name changes with its content.
    :ivar encoding: the Content-Encoding of the content, or None.
    :ivar varies: whether the content depends on the request's Accept-Encoding.
    """

    content: BinaryIO
    size: int
    path: str
    content_type: str
    tag: str
    unchanging: bool
    encoding: str | None = None
    varies: bool = False

    @property
    def html(self) -> bool:
        """Whether it is a page."""
        return self.path.endswith(".html")


class Page:
    """A folder of pages.

    :ivar foreign: whether it is another one than the shipped: stock noVNC needs its parameters in its own way.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self.foreign = self._folder != SHIPPED

    @property
    def there(self) -> bool:
        """Whether there is such a folder."""
        return self._folder.is_dir()

    def find(self, path: str, accepted: Container[str] = ()) -> PageFile | None:
        """The file of a URL path (percent-encoded, without its query), or None.

        :param accepted: the content codings that the client takes.
        """
        steps = _steps(path)
        if steps is None:
            return None
        if steps not in _MEANT:
            return self._open(steps, accepted)
        return next((found for name in _MEANT[steps] if (found := self._open((name,), accepted)) is not None), None)

    def _open(self, steps: tuple[str, ...], accepted: Container[str]) -> PageFile | None:
        file = self._open_plain(steps)
        if file is None or self.foreign:  # nobody promises that the compressed files of another folder are current
            return file
        for encoding, suffix in _ENCODINGS:
            compressed = self._open_plain((*steps[:-1], steps[-1] + suffix))
            if compressed is None:
                continue
            file = replace(file, varies=True)
            if encoding in accepted:
                file.content.close()
                tag = f'{compressed.tag[:-1]}-{encoding}"'
                return replace(file, content=compressed.content, size=compressed.size, tag=tag, encoding=encoding)
            compressed.content.close()
        return file

    def _open_plain(self, steps: tuple[str, ...]) -> PageFile | None:
        real = Path(os.path.realpath(self._folder.joinpath(*steps)))
        try:
            if not real.is_relative_to(self._folder) or not real.is_file():
                return None
            content = real.open("rb")
        except OSError:  # no right to it, or a name longer than any file's
            return None
        found = os.fstat(content.fileno())
        return PageFile(
            content,
            found.st_size,
            "/".join(steps),
            _TYPES.get(real.suffix.lower(), "application/octet-stream"),
            f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
            not self.foreign and _UNCHANGING.fullmatch(real.name) is not None,
        )


def accepted_encodings(fields: Iterable[str]) -> set[str]:
    """The content codings that the members of Accept-Encoding (in lower case) name (RFC 9110, section 12.5.3).

    A coding with the weight 0 is refused; the others are taken in our own order.  ``*`` counts for nothing: a client
    that wants a compressed answer names what it can read.
    """
    accepted = set()
    for field in fields:
        coding, _, parameters = field.partition(";")
        if not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters):
            accepted.add(coding.strip())
    return accepted


def _steps(path: str) -> tuple[str, ...] | None:
    """The names in a path; None where one of them is none, is hidden, or would lead elsewhere."""
    if not path.startswith("/"):
        return None
    if path == "/":
        return ()
    try:
        steps = tuple(unquote_to_bytes(step).decode() for step in path[1:].split("/"))
    except UnicodeDecodeError:
        return None
    if any(not step or step.startswith(".") or not step.isprintable() or set(step) & {"/", "\\"} for step in steps):
        return None
    return steps


def redirect_of(file: PageFile, query: str) -> str | None:
    """Where a foreign page is sent that was asked for with ``?token=T``: to itself, with what stock noVNC reads.

    The location is a relative reference, so that it holds behind a reverse proxy that serves us below a path prefix.
    It is made of the found file's own name, so that it can lead nowhere else (CVE-2021-3654).
    """
    if not file.html:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None
    token = next((value for name, value in reversed(pairs) if name == "token"), "")
    if not token or any(name == "path" for name, _ in pairs):
        return None
    others = [(name, value) for name, value in pairs if name not in ("token", "autoconnect")]
    inner = f"?token={quote(token, safe='')}"
    wanted = urlencode([*others, ("autoconnect", "1"), ("path", inner)], quote_via=quote, safe="")
    name = file.path.rpartition("/")[2]
    return f"{quote(name, safe='')}?{wanted}"
