"""The console page: its folder, and the redirect that passes the token to unmodified noVNC."""

import os
from collections.abc import Container
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from novnc_twisted.http.branded_page import BrandedPage
from novnc_twisted.http.page_settings import PageSettings
from novnc_twisted.http.static_files import StaticFile, StaticFolder

SHIPPED: Final = Path(__file__).resolve().parent.parent / "web" / "dist"
"""The page that comes with the package."""

NOT_BUILT: Final = "The console page is not installed. Build it, or set the option 'web' to a folder of noVNC."

_NAMES: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    (): ("index.html", "vnc_auto.html", "vnc_lite.html", "vnc.html"),
    ("vnc_auto.html",): ("vnc_auto.html", "vnc_lite.html"),  # noVNC 1.0 renamed vnc_auto.html to vnc_lite.html
}
"""The parts of a requested path -> names of files; the first file that exists is sent."""


class Page(StaticFolder):
    """The folder of the page.

    :ivar foreign: whether the folder contains unmodified noVNC instead of the shipped page.  noVNC expects the token
        inside the URL's parameter ``path`` (see :func:`redirect_of`).
    """

    def __init__(self, folder: str | Path) -> None:
        """Serve the shipped folder, or a folder of unmodified noVNC."""
        built = Path(os.path.realpath(folder)) == SHIPPED
        super().__init__(folder, built=built, names=_NAMES)
        self.foreign = not built
        self._branded: BrandedPage | None = None

    def use(self, settings: PageSettings | None) -> None:
        """Apply the operator's settings to the page from now on.  A foreign page is not changed.

        :param settings: None: show the page of the package without changes.
        """
        self._branded = None if settings is None or self.foreign else BrandedPage(settings)

    def find(self, path: str, accepted: Container[str] = ()) -> StaticFile | None:
        """See StaticFolder."""
        if self._branded is None:
            return super().find(path, accepted)
        file = self._branded.find(path) or super().find(path, accepted)
        if file is None or not file.html:
            return file
        # brand() changes the text of the page, so it needs the file without compression.
        file.content.close()
        plain = super().find(path)
        return None if plain is None else self._branded.brand(plain, accepted)


def redirect_of(file: StaticFile, query: str) -> str | None:
    """Return the location of a redirect that passes the token to a foreign page, in the form that noVNC reads.

    The location is relative, so it is correct even behind a reverse proxy with a path prefix.  It is made from the name
    of the found file, so it cannot lead to another site (CVE-2021-3654).

    :return: None if the query has no ``token``, already has a ``path`` or cannot be parsed, or if the file is not HTML.
    """
    if not file.html:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None
    # Of several tokens, the last one is used, as in access.tokens.token_of().
    token = next((value for name, value in reversed(pairs) if name == "token"), "")
    if not token or any(name == "path" for name, _ in pairs):
        return None
    others = [(name, value) for name, value in pairs if name not in ("token", "autoconnect")]
    # noVNC uses ``path`` as the path of the WebSocket, so the upgrade request will contain the token.
    inner = f"?token={quote(token, safe='')}"
    wanted = urlencode([*others, ("autoconnect", "1"), ("path", inner)], quote_via=quote, safe="")
    name = file.path.rpartition("/")[2]
    return f"{quote(name, safe='')}?{wanted}"
