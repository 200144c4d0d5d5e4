"""The page with two to four consoles side by side.  Its script shows each console in a frame."""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.api.console.servers import row
from novnc_twisted.api.errors import reads_only
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.portal.forms import need
from novnc_twisted.api.portal.frame import Frame, Visit
from novnc_twisted.api.portal.html import Markup, tag
from novnc_twisted.api.portal.views import open_form, state
from novnc_twisted.api.portal.words import Words
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response

MOST: Final = 4
"""Maximum number of consoles on one page."""


class SplitPage:
    """Answers ``split?server=UUID&server=UUID``, a URL that users can bookmark."""

    def __init__(self, inventory: Inventory, frame: Frame) -> None:
        self._inventory = inventory
        self._frame = frame

    async def answer(self, visit: Visit) -> Response:
        """Answer a request.

        :raises HTTPError: 400: fewer than two servers, or more than :data:`MOST`; 403: the caller may only read; 404:
            a server is unknown.
        """
        need(visit.request, "GET", "HEAD")
        if visit.caller.reads_only:
            raise reads_only(visit.caller)
        wanted = list(dict.fromkeys(visit.request.query.get("server", [])))
        if not 2 <= len(wanted) <= MOST:
            raise HTTPError(400, "Choose two to four servers.")
        rows = [row(await self._inventory.find(visit.caller, server_id), visit.caller) for server_id in wanted]
        body = _page(visit.words, visit.base, rows)
        return await self._frame.whole(visit, visit.words("Consoles side by side"), body, scripted=True, frames=True)


def _page(t: Words, base: str, rows: Sequence[dict[str, Any]]) -> Markup:
    panes = [
        tag(
            "section",
            tag("h2", tag("a", each["name"], href=f"{base}servers/{each['id']}")),
            tag("p", state(t, each["status"]), class_="state", data_state=each["status"]),
            open_form(t, base, each),
            class_="pane",
            data_id=each["id"],
            data_name=each["name"],
        )
        for each in rows
    ]
    sentence = t("This page needs JavaScript to show consoles side by side. Open them one by one.")
    return tag(
        "main",
        tag("h1", t("Consoles side by side"), class_="hidden"),
        tag("noscript", tag("p", sentence, role="alert")),
        tag("div", *panes, class_="panes"),
        id="split",
    )
