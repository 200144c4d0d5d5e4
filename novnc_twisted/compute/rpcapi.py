"""The caller's side of nova-compute: one compute host, or all the live ones at once."""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.access.fields import is_uuid
from novnc_twisted.compute import answers as answered
from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport

PREFIX = "compute."
"""A compute host serves the topic ``compute.<host>``."""

T = TypeVar("T")

_log = Logger()


class ComputeAPI:
    """What the API asks the compute hosts.  A host that is down or hangs never hides the others.

    :param deadline: seconds for each host's answer; hosts are asked in parallel.
    """

    def __init__(self, transport: ITransport, *, deadline: float = 5.0) -> None:
        self._transport = transport
        self._deadline = deadline

    async def hosts(self) -> list[str]:
        """The names of the live compute hosts, sorted."""
        services = await self._transport.services(PREFIX)
        return sorted({service.topic.removeprefix(PREFIX) for service in services})

    async def list_instances(self) -> list[dict[str, Any]]:
        """The servers of the live hosts, each once: where it is active, if it is; sorted by name and UUID.

        A host that does not answer is left out, and named in the log.

        :raises ServiceUnavailable: hosts are live, and none of them answers.
        """
        hosts = await self.hosts()
        answers = await gather(self._call(host, answered.instances, "list_instances") for host in hosts)
        if answers and all(isinstance(answer, Refusal) for answer in answers):
            raise ServiceUnavailable(f"no compute host answers: {answers[0]}")
        found: dict[str, dict[str, Any]] = {}
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, Refusal):
                _log.warn("compute host {host} did not list its servers: {reason}", host=host, reason=str(answer))
                continue
            for instance in answer:
                known = found.get(instance["uuid"])
                if known is None or (_is_active(instance) and not _is_active(known)):
                    found[instance["uuid"]] = instance
        return sorted(found.values(), key=lambda instance: (instance["name"], instance["uuid"]))

    async def find(self, instance_uuid: str) -> dict[str, Any]:
        """The server, from the host where it is active, else from one that knows it.

        :raises InstanceNotFound: every live host says that it has none such, or it is no UUID.
        :raises ServiceUnavailable: a host did not answer and none of the others has it, or no compute host is live.
        """
        if not is_uuid(instance_uuid):
            raise InstanceNotFound("not a UUID")
        hosts = await self.hosts()
        if not hosts:
            raise ServiceUnavailable("no compute host is live")

        def one_instance(host: str, answer: Any) -> dict[str, Any]:
            instance = answered.instance(host, answer)
            if instance["uuid"] != instance_uuid.lower():
                raise ServiceUnavailable(f"{host} told of another instance")
            return instance

        answers = await gather(
            (self._call(host, one_instance, "get_instance", instance_uuid=instance_uuid) for host in hosts),
            enough=_is_active,
        )
        found = [answer for answer in answers if isinstance(answer, dict)]
        if found:
            return max(found, key=_is_active)
        for answer in answers:
            if isinstance(answer, Refusal) and not isinstance(answer, InstanceNotFound):
                raise answer
        raise InstanceNotFound(instance_uuid)

    async def get_vnc_console(
        self, instance_uuid: str, console_type: str, user_id: str | None = None, project_id: str | None = None
    ) -> dict[str, Any]:
        """A new token for a server's console, and where it is; ``authorize_console`` must be told of it.

        :raises InstanceNotFound: no live host knows it.
        :raises InstanceNotRunning: it is stopped.
        :raises ConsoleTypeUnavailable: it has no VNC display, or its host does not serve such a console.
        :raises ConsoleUnreachable: another running server of its host claims the same address.
        """
        instance = await self.find(instance_uuid)
        return await self._call(
            instance["host"],
            lambda host, answer: answered.console(host, instance["uuid"], answer),
            "get_vnc_console",
            instance_uuid=instance_uuid,
            console_type=console_type,
            user_id=user_id,
            project_id=project_id,
        )

    def _call(self, host: str, read: Callable[[str, Any], T], method: str, **arguments: Any) -> "Deferred[T]":
        called = self._transport.call(f"{PREFIX}{host}", method, deadline=self._deadline, **arguments)
        return called.addCallback(lambda answer: read(host, answer))


def _is_active(instance: dict[str, Any]) -> bool:
    return instance.get("state") not in (None, "shutoff", "nostate") and not instance.get("migrating")
