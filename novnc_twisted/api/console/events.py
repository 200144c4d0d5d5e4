"""``/events``: server-sent events about servers and sessions."""

from collections.abc import Sequence
from functools import partial

from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.console.watch import Watch
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.event_stream import CONTENT_TYPE
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource


class Events(Resource):
    """Answers with a stream of events about the servers and sessions that the caller may see.

    The events ``servers`` and ``sessions`` carry ``changed`` (new and changed servers or sessions) and ``removed``
    (ids).  The event ``reload`` says that the client may have missed events and should read its lists again.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "events", self._subscribe)]

    async def _subscribe(self, call: ConsoleCall) -> Response:
        if call.request.method == "HEAD":
            return Response(200, b"", content_type=CONTENT_TYPE)
        if not self._watch.has_room(call.caller):
            raise HTTPError(429, "Too many event streams are open. Try again later.", (("Retry-After", "60"),))
        return Response(200, events=partial(self._watch.subscribe, call))
