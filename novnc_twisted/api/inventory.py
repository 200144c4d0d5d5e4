"""The servers that a caller may see, and why one that was there can't be asked for."""

import uuid

from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.call import Instance
from novnc_twisted.api.errors import instance_not_found
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from novnc_twisted.identity.users import Caller


class Inventory:
    """Asks the compute hosts, and tells a server that is gone from one whose host does not answer.

    A server whose host is not alive is listed with an unknown state.  Any request for it is answered with "not
    available", rather than with "there is no such server".
    """

    def __init__(self, compute: IComputeAPI) -> None:
        self._compute = compute

    async def list(self, caller: Caller) -> list[Instance]:
        """The caller's servers, by name.

        :raises ServiceUnavailable: no compute host answers.
        """
        return [instance for instance in await self._compute.list_instances() if caller.sees(instance)]

    async def find(self, caller: Caller, server_id: str) -> Instance:
        """One of the caller's servers, by id.

        :raises HTTPError: 404, also for what is no UUID, and for another project's server.
        :raises ServiceUnavailable: where the compute host that runs it, or may run it, does not answer.
        """
        try:
            normal = str(uuid.UUID(server_id))
        except ValueError:
            raise instance_not_found(server_id) from None
        try:
            instance = await self._compute.find(normal)
        except InstanceNotFound:
            known = await self._compute.last_known(normal)
            if known is not None and caller.sees(known):
                raise ServiceUnavailable(f"compute host {known['host']}, which has it, is not alive") from None
            raise instance_not_found(server_id) from None
        if not caller.sees(instance):
            raise instance_not_found(server_id)
        return instance


def sort_key(instance: Instance) -> tuple[str, str]:
    """The order of lists: by name, then by id."""
    return instance["name"], instance["uuid"]
