"""Power actions on servers, as nova's clients send them (nova's ``api/openstack/compute/servers.py``)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from novnc_twisted.api import schema
from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.call import Call
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.api.reported import reported
from novnc_twisted.api.server_view import vm_state_of
from novnc_twisted.contract import power
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import Observer, PowerAction
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.response import Response
from novnc_twisted.identity.users import Caller

ACTIONS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "os-start": power.START,
        "os-stop": power.STOP,
        "reboot": None,
        "pause": power.PAUSE,
        "unpause": power.UNPAUSE,
        "suspend": power.SUSPEND,
        "resume": power.RESUME,
    }
)
"""Name of the action in nova's API -> its name on the bus; None for ``reboot``, whose body chooses soft or hard."""

_REBOOTS = {"SOFT": power.REBOOT, "HARD": power.RESET}
_REBOOT_TYPES = ("HARD", "Hard", "hard", "SOFT", "Soft", "soft")


class Power:
    """Starts, stops, reboots, pauses and suspends servers.

    :param observer: called with an event for each attempt to begin an action on a server that the caller may see.
    """

    def __init__(self, inventory: Inventory, compute: IComputeAPI, observer: Observer) -> None:
        self._observer = observer
        self._inventory = inventory
        self._compute = compute

    async def act(self, call: Call, server_id: str, name: str, body: Any) -> Response:
        """Begin an action of :data:`ACTIONS`, and answer 202 without waiting for its end.

        :raises HTTPError: 400: the body is wrong.  Other statuses: see :meth:`change`.
        """
        action = ACTIONS[name] or _REBOOTS[_reboot_type(call, name, body)]
        await self.change(call.caller, call.request.client, server_id, action, name)
        return Response(202, None)

    async def change(self, caller: Caller, address: str, server_id: str, action: str, name: str) -> None:
        """Begin an action on one of the caller's servers.

        :param address: the client's address, for the audit trail.
        :param action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
        :param name: the action's name in error messages.
        :raises HTTPError: 404: the caller sees no such server; 409: the server's state does not allow the action,
            an action or a migration is still running, or the domain is transient; 503: a service does not answer.
        """
        try:
            instance = await self._inventory.find(caller, server_id)
            reply = await self._begin(caller, address, instance, action)
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id) from refusal
        if reply.conflict is not None:
            raise HTTPError(409, _conflict(name, instance.uuid, reply))

    async def _begin(self, caller: Caller, address: str, instance: Instance, action: str) -> PowerReply:
        """Begin the action, and send the observer an event about the attempt, even after an error."""
        with reported(self._observer, PowerAction, caller, address, instance) as fields:
            fields["action"] = action
            reply = await self._compute.change_power(instance, action)
            fields["cause"] = reply.conflict or ""
        return reply


def _reboot_type(call: Call, name: str, body: Any) -> str:
    return schema.choices(body, name, {"type": _REBOOT_TYPES}, lenient=call.legacy)["type"].upper()


def _conflict(name: str, uuid: str, reply: PowerReply) -> str:
    """Return why the action is not possible now.  The sentence is nova's (``InstanceInvalidState``) if nova has one."""
    action = name.removeprefix("os-")
    if reply.conflict == power.TRANSIENT:
        return f"Cannot '{action}' instance {uuid}: its domain is transient and would be deleted."
    if reply.conflict == power.BUSY:
        return f"Cannot '{action}' instance {uuid} while it is in task_state {reply.task}"
    return f"Cannot '{action}' instance {uuid} while it is in vm_state {vm_state_of(reply.state)}"
