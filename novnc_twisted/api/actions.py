"""``POST /servers/ID/action``: calls the object that performs the action named in the body."""

from collections.abc import Sequence

from novnc_twisted.api import consoles, power
from novnc_twisted.api.call import Call
from novnc_twisted.api.errors import no_such_action
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource


class Actions(Resource):
    """Passes each action on to the object that performs it: ``Consoles`` or ``Power``."""

    def __init__(self, consoles: consoles.Consoles, power: power.Power) -> None:
        self._consoles = consoles
        self._power = power

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("POST", "servers/{}/action", self._act)]

    async def _act(self, call: Call, server_id: str) -> Response:
        body = call.json()
        if not isinstance(body, dict) or not body:
            raise HTTPError(400, "Malformed request body")
        # nova's action body has one key, which names the action.
        name = next(iter(body))
        if name in consoles.ACTIONS:
            return await self._consoles.act(call, server_id, name, body)
        if name in power.ACTIONS:
            return await self._power.act(call, server_id, name, body)
        raise no_such_action(name)
