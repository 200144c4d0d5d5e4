"""The scripts and the style sheet of the pages, as the build of novnc_twisted/web left them."""

import json
from pathlib import Path
from typing import Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.http.static_files import StaticFolder, accepted_encodings

SHIPPED: Final = Path(__file__).resolve().parents[2] / "web" / "dist"
"""The built pages that come with the package."""

_FOREVER: Final = ("Cache-Control", "public, max-age=31536000, immutable")


class Assets:
    """Files whose names change with their content.

    :ivar script: the path of the list's script below ``/console/``; empty: the pages are not built.
    :ivar style: the path of the style sheet.
    """

    def __init__(self, folder: Path = SHIPPED) -> None:
        self._folder = StaticFolder(folder, built=True)
        try:
            names = json.loads((folder / "list.json").read_text())
        except (OSError, ValueError):
            names = {}
        self.script = str(names.get("script", ""))
        self.style = str(names.get("style", ""))

    def response(self, request: Request, path: str) -> Response:
        """Return a file below the folder.

        :raises HTTPError: 404.
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
