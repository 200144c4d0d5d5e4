"""The scripts, the style sheet and the icon of the pages, as the build of novnc_twisted/web has made them."""

import json
from pathlib import Path
from typing import Final

from novnc_twisted.api.portal.words import Languages
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.http.static_files import StaticFolder, accepted_encodings

SHIPPED: Final = Path(__file__).resolve().parents[2] / "web" / "dist"
"""The built pages that come with the package."""

_FOREVER: Final = ("Cache-Control", "public, max-age=31536000, immutable")


class Assets:
    """The files of the built pages.  When a script or a style sheet gets new content, the file gets a new name.

    :ivar languages: the texts of the pages.
    """

    def __init__(self, folder: Path = SHIPPED) -> None:
        self._folder = StaticFolder(folder, built=True)
        self._list = folder / "list.json"
        self._read: tuple[int, int] | None = None
        self._names: dict[str, str] = {}
        self.languages = Languages(folder)

    @property
    def script(self) -> str:
        """The path of the pages' script, below ``/console/``; empty: the pages are not built.

        The list of servers, the page of a server and the page with several consoles use this script.
        """
        return self._name("script")

    @property
    def style(self) -> str:
        """The path of the style sheet, below ``/console/``; empty: the pages are not built."""
        return self._name("style")

    def _name(self, what: str) -> str:
        """Return a path from ``list.json``; empty: the pages are not built.

        ``list.json`` is read again after a change, because an upgrade replaces the files while this process runs.
        """
        try:
            state = self._list.stat()
            version = state.st_mtime_ns, state.st_ino
            if version != self._read:
                names = json.loads(self._list.read_text())
                self._names, self._read = {name: str(path) for name, path in names.items()}, version
        except (OSError, ValueError, AttributeError):
            pass  # not built, or the file is being written just now: keep the names of the previous build, if any
        return self._names.get(what, "")

    def response(self, request: Request, path: str) -> Response:
        """Return a file of the built pages.

        :param path: the path below ``/console/``.
        :raises HTTPError: 404: there is no such file, or it is an HTML page.  Only the noVNC proxy serves the built
            HTML pages.
        """
        accepted = accepted_encodings(
            [one.strip().lower() for field in request.headers.get("accept-encoding", []) for one in field.split(",")]
        )
        file = self._folder.find(f"/{path}", accepted)
        if file is None or file.html:
            if file is not None:
                file.content.close()
            raise HTTPError(404, NOT_FOUND)
        with file.content as content:
            data = content.read()
        headers = [_FOREVER] if file.unchanging else []
        if file.encoding:
            headers.append(("Content-Encoding", file.encoding))
        if file.varies:
            headers.append(("Vary", "Accept-Encoding"))
        return Response(200, data, tuple(headers), content_type=file.content_type)
