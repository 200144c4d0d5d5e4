"""The methods of consoleauth that call the compute host of a token's server."""

from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.consoleauth.time_limit import LAST, TimeLimit
from novnc_twisted.consoleauth.token_places import TokenPlaces
from novnc_twisted.contract import fields, power
from novnc_twisted.contract.mode import CONTROL
from novnc_twisted.contract.place import Place
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.record import read
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import ConsoleForbidden, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport

DEADLINE: Final = 1.4
"""Seconds for the call to the host, if locating the console has left enough time."""


class HostMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus.

    Each method checks the token as ``check_token`` does, with one exception for a token that can be used only once
    (``one_time``).  ``check_token`` accepts it only if it is unused; these methods accept it only if ``client_address``
    has used it.
    """

    def __init__(
        self, transport: ITransport, clock: IReactorTime, policy: TokenPolicy, token_places: TokenPlaces
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._policy = policy
        self._token_places = token_places

    async def get_vnc_password(self, *, token_hash: str, console_type: str, client_address: str) -> dict[str, Any]:
        """Ask the compute host for the VNC password of the token's server.  The password is not stored.

        :returns: ``password``; null: the server has no password.
        """
        limit = TimeLimit(self._clock)
        record = await self.checked(token_hash, console_type, client_address)
        place = await self._token_places.locate(record, limit, reserve=LAST)
        answer = await self._ask(place, "get_vnc_password", record, limit)
        password = answer.get("password") if isinstance(answer, dict) else ""
        if password is not None and (not isinstance(password, str) or not password):
            raise ServiceUnavailable(f"compute host {place.compute_host}: the answer has no valid password")
        return {"password": password}

    async def change_power(
        self, *, token_hash: str, console_type: str, client_address: str, action: str
    ) -> dict[str, Any]:
        """Begin a power action on the token's server; return the host's :class:`PowerReply`.

        :param action: one of :data:`novnc_twisted.contract.power.VIEWERS_ACTIONS`.
        :raises ConsoleForbidden: the token may not control the server, or it was shared for a guest.
        """
        action = fields.argument("action", action, fields.one_of(*power.VIEWERS_ACTIONS))
        limit = TimeLimit(self._clock)
        record = await self.checked(token_hash, console_type, client_address)
        if record.connect_info.mode != CONTROL:
            raise ConsoleForbidden("the token is for viewing only")
        if record.shared_from is not None:
            raise ConsoleForbidden("a guest link does not permit power actions")
        place = await self._token_places.locate(record, limit, reserve=LAST)
        answer = await self._ask(place, "change_power", record, limit, action=action)
        return read(PowerReply, answer, f"compute host {place.compute_host}").to_wire()

    async def checked(self, token_hash: str, console_type: str, client_address: str) -> TokenRecord:
        """Check a token, and return its record, which contains the present mode.

        :raises Refusal: the token is not valid for this console type and client address; see :class:`HostMethods`.
        """
        token_hash = arguments.token_hash(token_hash)
        address = arguments.client_address(client_address)
        record = await self._policy.find(token_hash)
        await self._policy.check(token_hash, record, console_type, address)
        record = await self._policy.current(token_hash, record)
        await self._policy.check_used_by(token_hash, record, address)
        return record

    async def _ask(self, place: Place, method: str, record: TokenRecord, limit: TimeLimit, **arguments: Any) -> Any:
        topic, uuid = COMPUTE.of(place.compute_host), record.connect_info.instance_uuid
        return await self._transport.call(topic, method, deadline=limit.left(DEADLINE), instance_uuid=uuid, **arguments)
