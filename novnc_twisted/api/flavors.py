"""``/flavors``: the sizes of the servers (nova's ``api/openstack/compute/flavors.py``).

libvirt has no flavors, but clients show them in their tables.  So each size of a visible server is listed as a flavor.
The id of a flavor contains its size, so nothing has to be stored.
"""

import re
from collections.abc import Sequence
from typing import Any

from novnc_twisted.api.call import Call
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.contract.instance import Instance
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource

_ID = re.compile(r"([0-9]{1,6})vcpu-([0-9]{1,12})mb", re.ASCII)


def flavor_id(instance: Instance) -> str:
    """Return the id of the flavor for a server's size.  The id is also the flavor's name."""
    return f"{instance.vcpus}vcpu-{instance.memory_mb}mb"


class Flavors(Resource):
    """Answers requests for flavors."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [
            ("GET", "flavors", self._index),
            ("GET", "flavors/detail", self._detail),
            ("GET", "flavors/{}", self._show),
            ("GET", "flavors/{}/os-extra_specs", self._extra_specs),
        ]

    async def _ids(self, call: Call) -> list[str]:
        servers, _ = await self._inventory.page(call.caller)
        return sorted({flavor_id(server) for server in servers})

    async def _index(self, call: Call) -> Response:
        keys = ("id", "name", "links")
        return Response(
            200, {"flavors": [{key: _flavor(call, name)[key] for key in keys} for name in await self._ids(call)]}
        )

    async def _detail(self, call: Call) -> Response:
        return Response(200, {"flavors": [_flavor(call, name) for name in await self._ids(call)]})

    async def _show(self, call: Call, name: str) -> Response:
        return Response(200, {"flavor": _flavor(call, name)})

    async def _extra_specs(self, call: Call, name: str) -> Response:
        # Called only to raise 404 for a name that is not a size.
        _flavor(call, name)
        return Response(200, {"extra_specs": {}})


def _flavor(call: Call, name: str) -> dict[str, Any]:
    size = _ID.fullmatch(name)
    if size is None:
        raise HTTPError(404, f"Flavor {name} could not be found.")
    path = f"flavors/{name}"
    return {
        "id": name,
        "name": name,
        "vcpus": int(size[1]),
        "ram": int(size[2]),
        "disk": 0,
        "swap": "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0,
        "links": [call.link("self", path), call.link("bookmark", path)],
    }
