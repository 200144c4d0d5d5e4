"""``/servers/ID/consoles``: makes console links."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from novnc_twisted.api import schema
from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.console.session_view import time_text
from novnc_twisted.api.links import Links, LinkTerms
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import CONSOLE_TYPES
from novnc_twisted.contract.mode import MODES
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource


class ConsoleLinks(Resource):
    """Makes console links, like the Compute API.

    Unlike in the Compute API, the caller can choose the rights and the life time, and can limit the link to one use.

    :param now: returns the Unix time in seconds.
    """

    def __init__(self, links: Links, now: Callable[[], float] = time.time) -> None:
        self._links = links
        self._now = now

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("POST", "servers/{}/consoles", self._create)]

    async def _create(self, call: ConsoleCall, server_id: str) -> Response:
        wanted = schema.properties(
            call.request.json(),
            {
                "type": fields.one_of(*CONSOLE_TYPES),
                "mode": fields.one_of(*MODES),
                "expires_in": _seconds,
                "one_time": fields.boolean,
                "record": fields.boolean,
            },
            ["type"],
        )
        # The API defines ``record``, but this release supports only the value false.
        if wanted.pop("record", False):
            raise HTTPError(400, "Consoles are not recorded. Leave out record, or set it to false.")
        terms = LinkTerms(console_type=wanted.pop("type"), **wanted)
        link = await self._links.make(call.caller, server_id, terms)
        shown = {
            "id": link.id,
            "url": link.url,
            "mode": terms.mode,
            "expires_at": time_text(link.expires_at),
            # The life time may be shorter than requested, because token_ttl limits it.  A client with a wrong clock
            # can use expires_in, but not expires_at.
            "expires_in": round(link.expires_at - self._now()),
        }
        return Response(200, {"console": shown})


def _seconds(value: Any) -> float:
    seconds = fields.number(value)
    if not 1 <= seconds <= 1e9:
        raise ValueError("not a number of seconds from 1 to 1000000000")
    return seconds
