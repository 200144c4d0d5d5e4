"""``/servers``: the libvirt domains of the live compute hosts (nova's ``api/openstack/compute/servers.py``)."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from novnc_twisted.api import server_view
from novnc_twisted.api.call import Call, Instance
from novnc_twisted.api.inventory import Inventory, sort_key
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

MAX_LIMIT = 1000
"""Servers in one answer at most (nova's ``[api] max_limit``)."""

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_TRUE = ("1", "t", "true", "on", "y", "yes")


class Servers(Resource):
    """The lists, and one server."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [
            ("GET", "servers", self._index),
            ("GET", "servers/detail", self._detail),
            ("GET", "servers/{}", self._show),
        ]

    async def _index(self, call: Call) -> Response:
        return await self._list(call, "servers", server_view.brief)

    async def _detail(self, call: Call) -> Response:
        return await self._list(call, "servers/detail", server_view.full)

    async def _show(self, call: Call, server_id: str) -> Response:
        return Response(200, {"server": server_view.full(call, await self._inventory.find(call.caller, server_id))})

    async def _list(self, call: Call, path: str, view: Any) -> Response:
        limit, marker = _limit(call), call.request.parameter("marker")
        instances = await self._inventory.list(call.caller)
        if marker is not None:
            start = next((sort_key(instance) for instance in instances if instance["uuid"] == marker), None)
            if start is None:
                raise HTTPError(400, f"marker [{marker}] not found")
            instances = [instance for instance in instances if sort_key(instance) > start]
        matching = [instance for instance in instances if _matches(call, instance)]
        page = matching[:limit]
        body: dict[str, Any] = {"servers": [view(call, instance) for instance in page]}
        if page and len(page) < len(matching):
            query = {name: values for name, values in call.request.query.items() if name != "marker"}
            target = f"{path}?{urlencode({**query, 'marker': page[-1]['uuid']}, doseq=True)}"
            body["servers_links"] = [call.link("next", target)]
        return Response(200, body)


def _limit(call: Call) -> int:
    limit = call.request.parameter("limit")
    if limit is None:
        return MAX_LIMIT
    if not _NUMBER.fullmatch(limit):
        raise HTTPError(
            400,
            f"Invalid input for query parameters limit. Value: {limit[:100]}. '{limit[:100]}' does not match "
            "'^[0-9]*$'",
        )
    return min(int(limit), MAX_LIMIT)


def _matches(call: Call, instance: Instance) -> bool:
    """The filters that a list of domains has a meaning for; others are ignored, as nova does.

    ``name`` is a literal substring: nova's regular expression comes from a user and may never end.
    """
    get = call.request.parameter
    if (get("deleted") or "").lower() in _TRUE:
        return False
    wanted = get("name")
    if wanted is not None and wanted not in instance["name"]:
        return False
    for name, value in (("uuid", instance["uuid"]), ("status", server_view.status_of(instance))):
        wanted = get(name)
        if wanted is not None and wanted.lower() != value.lower():
            return False
    if call.caller.is_admin:
        host, project = get("host"), get("project_id") or get("tenant_id")
        if host is not None and host != instance.get("host"):
            return False
        if project is not None and project not in (instance.get("project_id"), instance.get("project_name")):
            return False
    return True
