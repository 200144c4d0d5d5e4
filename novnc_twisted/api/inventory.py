"""The servers that a caller may see, and why one that was there can't be asked for."""

import uuid

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.call import Instance
from novnc_twisted.api.faults import instance_not_found
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from novnc_twisted.identity.users import Caller

REMEMBERED = 3600.0
"""Seconds for which a server is remembered after it was last seen."""

MAX_REMEMBERED = 10_000

_KEPT = ("uuid", "name", "host", "project_id", "project_name")


class Inventory:
    """Asks the compute hosts, and remembers what they told.

    A server of a host that died is no server any more, but whoever asks for it is told that the service is not
    available, rather than that there never was one.
    """

    def __init__(self, clock: IReactorTime, compute: IComputeAPI) -> None:
        self._clock = clock
        self._compute = compute
        self._seen: dict[str, tuple[Instance, float]] = {}

    async def list(self, caller: Caller) -> list[Instance]:
        """The caller's servers, by name.

        :raises ServiceUnavailable: where no compute host is alive: an empty list would say that the servers are gone.
        """
        instances = await self._compute.list_instances()
        if not instances and not await self._compute.hosts():
            raise ServiceUnavailable("no compute host is alive")
        for instance in instances:
            self._remember(instance)
        return sorted((instance for instance in instances if caller.sees(instance)), key=sort_key)

    async def find(self, caller: Caller, server_id: str) -> Instance:
        """One of the caller's servers, by id.

        :raises Fault: 404, also for what is no UUID, and for another project's server.
        :raises ServiceUnavailable: where the compute host that runs it, or may run it, does not answer.
        """
        try:
            normal = str(uuid.UUID(server_id))
        except ValueError:
            raise instance_not_found(server_id) from None
        try:
            instance = await self._compute.find(normal)
        except InstanceNotFound:
            seen = self._recall(normal)
            if seen is not None and caller.sees(seen):
                await self._needs_host_of(seen)
            self._seen.pop(normal, None)
            raise instance_not_found(server_id) from None
        self._remember(instance)
        if not caller.sees(instance):
            raise instance_not_found(server_id)
        return instance

    async def explain(self, caller: Caller, name: str) -> None:
        """Nothing of this name is there: was there something, on a host that does not answer now?

        :raises ServiceUnavailable: there was.
        """
        for server_id in [key for key, (instance, _) in self._seen.items() if instance["name"] == name]:
            seen = self._recall(server_id)
            if seen is None or not caller.sees(seen):
                continue
            await self._needs_host_of(seen)
            try:
                await self._compute.find(server_id)
            except InstanceNotFound:
                self._seen.pop(server_id, None)

    async def _needs_host_of(self, seen: Instance) -> None:
        if seen.get("host") not in await self._compute.hosts():
            raise ServiceUnavailable(f"compute host {seen.get('host')} is not alive")

    def _remember(self, instance: Instance) -> None:
        self._seen.pop(instance["uuid"], None)
        while len(self._seen) >= MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        kept = {name: instance.get(name) for name in _KEPT}
        self._seen[instance["uuid"]] = kept, self._clock.seconds() + REMEMBERED

    def _recall(self, server_id: str) -> Instance | None:
        instance, until = self._seen.get(server_id, ({}, 0.0))
        return instance if until > self._clock.seconds() else None


def sort_key(instance: Instance) -> tuple[str, str]:
    """The order of lists: by name, then by id."""
    return instance["name"], instance["uuid"]
