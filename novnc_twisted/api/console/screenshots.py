"""``/servers/ID/screenshot``: a picture of a server's screen."""

from collections.abc import Sequence
from typing import Final

from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.reported import reported
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.screenshot import FORMATS, Screenshot, picture_width
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import Observer, ScreenshotTaken
from novnc_twisted.http.accept import best_of
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

_TYPES: Final = {f"image/{kind}": kind for kind in FORMATS}


class Screenshots(Resource):
    """Takes pictures of screens, without a VNC connection.

    :param observer: called with an event for each attempt to take a picture.
    """

    def __init__(self, inventory: Inventory, compute: IComputeAPI, observer: Observer) -> None:
        self._observer = observer
        self._inventory = inventory
        self._compute = compute

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "servers/{}/screenshot", self._show)]

    async def _show(self, call: ConsoleCall, server_id: str) -> Response:
        if call.caller.reads_only:
            if call.caller.by_api_token:
                raise HTTPError(403, "This API token may only read lists.")
            raise HTTPError(403, "A user with the role reader cannot see screens. Ask for the role member.")
        width = call.parameter("width", _width)
        media_type = best_of(call.request.headers.get("accept", []), _TYPES)
        if media_type is None:
            raise HTTPError(406, f"A screenshot is one of {', '.join(_TYPES)}.")
        try:
            instance = await self._inventory.find(call.caller, server_id)
            picture = await self._take(call, instance, _TYPES[media_type], width)
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id) from refusal
        return Response(200, picture.content, (("Vary", "Accept"),), content_type=media_type)

    async def _take(self, call: ConsoleCall, instance: Instance, kind: str, width: int | None) -> Screenshot:
        """Take the picture, and send the observer an event about the attempt, even after an error."""
        with reported(self._observer, ScreenshotTaken, call.caller, call.request.client, instance) as fields:
            picture = await self._compute.get_screenshot(instance, kind, width)
            fields.update(size=len(picture.content), cause="")
        return picture


def _width(text: str) -> int | None:
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise ValueError("not a number of pixels")
    return picture_width(int(text))
