"""The console page: the folder that has it, and the way in which stock noVNC is given its token."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from novnc_twisted.http.static_files import StaticFile, StaticFolder

SHIPPED: Final = Path(__file__).resolve().parent.parent / "web" / "dist"
"""The page that comes with the package."""

NOT_BUILT: Final = "The console page is not installed. Build it, or point the option web at a folder of noVNC."

_NAMES: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    (): ("index.html", "vnc_auto.html", "vnc_lite.html", "vnc.html"),
    ("vnc_auto.html",): ("vnc_auto.html", "vnc_lite.html"),  # noVNC 1.0 renamed it
}


class Page(StaticFolder):
    """The folder of the page.

    :ivar foreign: whether it is another folder than the shipped one: stock noVNC reads other parameters.
    """

    def __init__(self, folder: str | Path) -> None:
        """:param folder: the shipped one, or one of stock noVNC."""
        built = Path(os.path.realpath(folder)) == SHIPPED
        super().__init__(folder, built=built, names=_NAMES)
        self.foreign = not built


def redirect_of(file: StaticFile, query: str) -> str | None:
    """Return where a request for a foreign page with ``?token=T`` is sent: to itself, in the form that noVNC reads.

    The location is a relative reference, which stays correct behind a reverse proxy with a path prefix.  It is made of
    the name of the found file, so it cannot lead to another site (CVE-2021-3654).

    :return: None if the request has no token or has a path of its own, or the file is not a page.
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
    # noVNC uses ``path`` as the path of the WebSocket, so the token in it reaches the upgrade request.
    inner = f"?token={quote(token, safe='')}"
    wanted = urlencode([*others, ("autoconnect", "1"), ("path", inner)], quote_via=quote, safe="")
    name = file.path.rpartition("/")[2]
    return f"{quote(name, safe='')}?{wanted}"
