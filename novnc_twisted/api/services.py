"""``os-services``: the live services (nova's ``api/openstack/compute/services.py``)."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from novnc_twisted.api.call import Call
from novnc_twisted.contract.topics import BINARIES, COMPUTE_BINARY
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import Handler, Resource
from novnc_twisted.messaging.interfaces import ITransport, Service


class Services(Resource):
    """Lists the live services whose names are in :data:`.BINARIES`, from their presence entries on the bus."""

    def __init__(self, transport: ITransport) -> None:
        self._transport = transport

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """See Resource."""
        return [("GET", "os-services", self._index)]

    async def _index(self, call: Call) -> Response:
        call.needs_admin("os-services:list")
        binary, host = call.request.parameter("binary"), call.request.parameter("host")
        latest: dict[tuple[str, str], Service] = {}
        for service in await self._transport.services():
            key = (service.binary, service.host)
            wanted = service.binary in BINARIES and binary in (None, service.binary) and host in (None, service.host)
            # As in nova, the workers of one service on one host are one entry, with the latest of their heartbeats.
            if wanted and (key not in latest or latest[key].updated_at < service.updated_at):
                latest[key] = service
        return Response(200, {"services": [_service(call, latest[key]) for key in sorted(latest)]})


def _service(call: Call, service: Service) -> dict[str, Any]:
    view: dict[str, Any] = {
        # nova uses the number of a database row.  There is no database here, so the number is computed from the names,
        # and is the same in each API process.  The shift makes it fit into a signed 32-bit integer.
        "id": zlib.crc32(f"{service.binary} {service.host}".encode()) >> 1,
        "binary": service.binary,
        "host": service.host,
        "zone": "nova" if service.binary == COMPUTE_BINARY else "internal",
        "status": "enabled",
        "state": "up",
        "updated_at": datetime.fromtimestamp(service.updated_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "disabled_reason": None,
    }
    if call.version.minor >= 11:
        view["forced_down"] = False
    return view
