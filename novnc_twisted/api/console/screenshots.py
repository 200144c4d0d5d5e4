"""``/servers/ID/screenshot``: a picture of a server's screen."""

from collections.abc import Sequence
from typing import Final

from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.contract.screenshot import FORMATS, picture_width
from novnc_twisted.errors import Refusal
from novnc_twisted.http.accept import best_of
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

_TYPES: Final = {f"image/{kind}": kind for kind in FORMATS}


class Screenshots(Resource):
    """Pictures for lists and scripts.  They take no VNC connection, and no cache may keep them."""

    def __init__(self, inventory: Inventory, compute: IComputeAPI) -> None:
        self._inventory = inventory
        self._compute = compute

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "servers/{}/screenshot", self._show)]

    async def _show(self, call: ConsoleCall, server_id: str) -> Response:
        if call.caller.reads_only:
            raise HTTPError(403, "The role reader sees no screen. Ask for the role member.")
        width = call.parameter("width", _width)
        media_type = best_of(call.request.headers.get("accept", []), _TYPES)
        if media_type is None:
            raise HTTPError(406, f"A screenshot is one of {', '.join(_TYPES)}.")
        try:
            instance = await self._inventory.find(call.caller, server_id)
            picture = await self._compute.get_screenshot(instance, _TYPES[media_type], width)
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id) from refusal
        return Response(200, picture.content, (("Vary", "Accept"),), content_type=media_type)


def _width(text: str) -> int | None:
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise ValueError("not a number of pixels")
    return picture_width(int(text))
