"""``/servers``: the servers that the caller may see, each with a few fields."""

from collections.abc import Sequence
from typing import Any

from novnc_twisted.api.console.call import ConsoleCall
from novnc_twisted.api.console.sessions import limit_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.server_view import status_of
from novnc_twisted.contract import fields
from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import InstanceNotFound
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.identity.users import Caller


class ListedServers(Resource):
    """Lists the servers that the caller may see, sorted by name and id, in pages."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "servers", self._list), ("GET", "servers/{}", self._show)]

    async def _list(self, call: ConsoleCall) -> Response:
        marker = call.parameter("marker", fields.uuid)
        try:
            page, more = await self._inventory.page(
                call.caller, name=call.parameter("name") or "", marker=marker, limit=limit_of(call)
            )
        except InstanceNotFound:
            raise HTTPError(400, f"marker [{marker}] not found") from None
        rows = [row(instance, call.caller) for instance in page]
        return Response(200, {"servers": rows, "next": page[-1].uuid if page and more else None})

    async def _show(self, call: ConsoleCall, server_id: str) -> Response:
        return Response(200, {"server": row(await self._inventory.find(call.caller, server_id), call.caller)})


def row(instance: Instance, caller: Caller) -> dict[str, Any]:
    """Return a server as a JSON object.  Only administrators see its host, as in nova."""
    return {
        "id": instance.uuid,
        "name": instance.name,
        "status": status_of(instance),
        "project": instance.project_name or instance.project_id,
        "host": instance.host if caller.is_admin else None,
    }
