"""Finds the static file for a path.  Files outside of the folder, hidden files and lists of files are not served."""

import os
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote_to_bytes

_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))  # in this order, because br makes smaller files
_UNCHANGING = re.compile(r".*-[0-9A-Za-z_]{8,}\.[a-z0-9]+")  # the build puts a hash of the content into the name
TYPES: Final = {
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
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""The media type by the ending of a file's name."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file to be served.

    :ivar content: the open file, at its beginning; the receiver must close it.
    :ivar size: number of bytes.
    :ivar content_type: the media type, by the ending of the name.
    :ivar path: the path relative to the folder, for example ``app/name.js``.
    :ivar tag: the ETag.
    :ivar unchanging: whether our own build put a hash of the content into the name.  Such a file never changes.
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
        """Whether the file is an HTML page."""
        return self.path.endswith(".html")


class StaticFolder:
    """A folder whose files are served.

    :ivar path: the folder, without symbolic links.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        built: bool = False,
        names: Mapping[tuple[str, ...], tuple[str, ...]] | None = None,
    ) -> None:
        """Prepare.  The folder need not exist yet.

        :param built: whether our own build made the files.  If so, a file with a hash in its name never changes, and
            the compressed form beside a file (``.br``, ``.gz``) is up to date.  In other folders, this is not assumed.
        :param names: the segments of a path -> the names of the files that can be served for this path.  The first file
            that exists in this folder is used.  The path ``/`` has no segments.
        """
        self.path = Path(os.path.realpath(folder))
        self._built = built
        self._names = names or {}

    @property
    def exists(self) -> bool:
        """Return whether the folder exists; False without permission to search a folder above it."""
        return os.path.isdir(self.path)  # noqa: PTH112 (pathlib's is_dir() would raise PermissionError)

    def find(self, path: str, accepted: Container[str] = ()) -> StaticFile | None:
        """Return the file of a URL path (percent-encoded, without its query); None if there is no such file.

        :param accepted: the content codings that the client accepts.
        """
        steps = _steps(path)
        if steps is None:
            return None
        if steps not in self._names:
            return self._open(steps, accepted)
        return next(
            (found for name in self._names[steps] if (found := self._open((name,), accepted)) is not None), None
        )

    def _open(self, steps: tuple[str, ...], accepted: Container[str]) -> StaticFile | None:
        file = self._open_plain(steps)
        if file is None or not self._built:
            return file
        # If a compressed form exists, the response depends on Accept-Encoding, even if the client gets the plain file.
        for encoding, suffix in _ENCODINGS:
            compressed = self._open_plain((*steps[:-1], steps[-1] + suffix))
            if compressed is None:
                continue
            file = replace(file, varies=True)
            if encoding in accepted:
                file.content.close()
                # RFC 9110, section 8.8.3.3: each coding of a file needs a tag of its own.
                tag = f'{compressed.tag[:-1]}-{encoding}"'
                return replace(file, content=compressed.content, size=compressed.size, tag=tag, encoding=encoding)
            compressed.content.close()
        return file

    def _open_plain(self, steps: tuple[str, ...]) -> StaticFile | None:
        # Resolve links before comparing, so that a symbolic link cannot lead out of the folder.
        real = Path(os.path.realpath(self.path.joinpath(*steps)))
        try:
            if not real.is_relative_to(self.path) or not real.is_file():
                return None
            content = real.open("rb")
        except OSError:  # no permission, or a name that is too long
            return None
        # The size of the open file, because the file on disk may have been replaced.
        found = os.fstat(content.fileno())
        return StaticFile(
            content,
            found.st_size,
            "/".join(steps),
            TYPES.get(real.suffix.lower(), "application/octet-stream"),
            f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
            self._built and _UNCHANGING.fullmatch(real.name) is not None,
        )


def accepted_encodings(fields: Iterable[str]) -> set[str]:
    """Return the content codings that Accept-Encoding accepts (RFC 9110, section 12.5.3).

    A coding with the weight 0 is not accepted; all other weights are ignored.  ``*`` is ignored, too: a client that
    wants a compressed file names the codings that it can read.

    :param fields: the members of Accept-Encoding, in lower case.
    """
    accepted = set()
    for field in fields:
        coding, _, parameters = field.partition(";")
        if not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters):
            accepted.add(coding.strip())
    return accepted


def _steps(path: str) -> tuple[str, ...] | None:
    """Return the decoded names in a path; None if no served file can have this path.

    A name must not be empty or hidden, and must not contain a slash, a backslash or an unprintable character.
    """
    if not path.startswith("/"):
        return None
    if path == "/":
        return ()
    try:
        steps = tuple(unquote_to_bytes(step).decode() for step in path[1:].split("/"))
    except UnicodeDecodeError:
        return None
    # Check after decoding, so that "%2e%2e%2f" does not pass as an ordinary name.
    if any(not step or step.startswith(".") or not step.isprintable() or set(step) & {"/", "\\"} for step in steps):
        return None
    return steps
