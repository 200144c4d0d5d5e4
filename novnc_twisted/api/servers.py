"""``/servers``: the libvirt domains of all compute hosts (nova's ``api/openstack/compute/servers.py``)."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from novnc_twisted.api import server_view
from novnc_twisted.api.call import Call
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import InstanceNotFound
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

MAX_LIMIT = 1000
"""Maximum number of servers in one answer, and the default of ``limit`` (nova's ``[api] max_limit``)."""

_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_MAX_DIGITS = 4000
"""Maximum number of digits of a limit.  Python's ``int()`` refuses more than 4300."""

_TRUE = ("1", "t", "true", "on", "y", "yes")


class Servers(Resource):
    """Answers requests for lists of servers and for one server."""

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
        # ``name`` is a plain substring.  nova takes it as a regular expression, but matching a regular expression could
        # take forever.
        limit, marker, name = _limit(call), call.request.parameter("marker"), call.request.parameter("name") or ""
        try:
            page, more = await self._inventory.page(
                call.caller, project=_project(call), wanted=_filter(call), name=name, marker=marker, limit=limit
            )
        except InstanceNotFound:
            raise HTTPError(400, f"marker [{marker}] not found") from None
        body: dict[str, Any] = {"servers": [view(call, instance) for instance in page]}
        if page and more:
            query = {name: values for name, values in call.request.query.items() if name != "marker"}
            target = f"{path}?{urlencode({**query, 'marker': page[-1].uuid}, doseq=True)}"
            body["servers_links"] = [call.link("next", target)]
        return Response(200, body)


def _limit(call: Call) -> int:
    limits = call.request.query.get("limit") or [str(MAX_LIMIT)]
    for limit in limits:  # like nova's schema, check all limits, and use the last one
        if not _DIGITS.fullmatch(limit):
            raise HTTPError(
                400,
                f"Invalid input for query parameters limit. Value: {limit[:100]}. '{limit[:100]}' does not match "
                "'^[0-9]*$'",
            )
    if not 0 < len(limits[-1]) <= _MAX_DIGITS:
        raise HTTPError(400, "Invalid input received: limit must be an integer")
    return min(int(limits[-1]), MAX_LIMIT)


def _project(call: Call) -> str | None:
    """Return the project that a request asks for.  It has an effect only if the caller is an administrator."""
    return call.request.parameter("project_id") or call.request.parameter("tenant_id")


def _filter(call: Call) -> Callable[[Instance], bool]:
    """Return a function that checks whether a server passes the filters of a request.

    The inventory checks the filters for the project and ``name``.  Filters of nova that neither the inventory nor this
    function checks are ignored.
    """
    get = call.request.parameter
    deleted = (get("deleted") or "").lower() in _TRUE
    uuid, status = get("uuid"), get("status")
    host = get("host") if call.caller.is_admin else None

    def wanted(instance: Instance) -> bool:
        return (
            not deleted  # there are no deleted servers here
            and (uuid is None or uuid.lower() == instance.uuid)
            and (status is None or status.lower() == server_view.status_of(instance).lower())
            and (host is None or host == instance.host)
        )

    return wanted
