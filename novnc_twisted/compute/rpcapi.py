"""The caller's side of nova-compute: one compute host, or all the live ones at once."""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.compute import replies
from novnc_twisted.contract.fields import is_uuid
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.domain_locations import DomainLocations
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport

LIST_DEADLINE = 2.0
"""Seconds in which a host has to give a page of its list; after them, what it published stands for it."""

MAX_PAGES = 100
"""Pages of a host's list; one has room for more than a thousand servers with names of usual length."""

T = TypeVar("T")

_log = Logger()


class ComputeAPI:
    """What the API asks the compute hosts.  A host that is down or hangs never hides the others.

    :param deadline: seconds for each host's answer; hosts are asked in parallel.
    """

    def __init__(self, transport: ITransport, *, deadline: float = 5.0) -> None:
        self._transport = transport
        self._deadline = deadline
        self._locations = DomainLocations(transport.store)

    async def hosts(self) -> list[str]:
        """The names of the live compute hosts, sorted."""
        services = await self._transport.services(COMPUTE.prefix)
        return sorted({COMPUTE.member(service.topic) for service in services})

    async def list_instances(self) -> list[dict[str, Any]]:
        """All servers, each once: where it is active, if it is; sorted by name and UUID.

        Where another host answers, those of a host that is not alive, or does not answer within
        :data:`LIST_DEADLINE`, are listed as that host published them, with the state "unknown".  A host that published
        nothing is left out, and named in the log.

        :raises ServiceUnavailable: no host answers.
        """
        hosts = await self.hosts()
        lists, silent = await self._lists(hosts, LIST_DEADLINE)
        if silent and not lists:
            # A slow answer is better than none.
            lists, silent = await self._lists(hosts, self._deadline - LIST_DEADLINE)
        if not lists:
            raise ServiceUnavailable(f"no compute host answers: {next(iter(silent.values()), 'none is alive')}")
        published = await self._published(set(hosts) - silent.keys())
        for host, refusal in silent.items():
            if host not in published:
                _log.warn("compute host {host} did not list its servers: {reason}", host=host, reason=str(refusal))
        lists += [replies.published(host, domains) for host, domains in published.items()]
        found: dict[str, dict[str, Any]] = {}
        for instance in (instance for listed in lists for instance in listed):
            known = found.get(instance["uuid"])
            if known is None or (_is_active(instance) and not _is_active(known)):
                found[instance["uuid"]] = instance
        return sorted(found.values(), key=lambda instance: (instance["name"], instance["uuid"]))

    async def last_known(self, instance_uuid: str) -> dict[str, Any] | None:
        """What is published of a server by a host that is not alive; None: no such host had it.

        :raises ServiceUnavailable: the store does not answer.
        """
        found = await self._locations.last_host_of(instance_uuid, await self.hosts())
        if found is None:
            return None
        return next(iter(replies.published(found[0], [found[1]])), None)

    async def _lists(self, hosts: list[str], deadline: float) -> tuple[list[list[dict[str, Any]]], dict[str, Refusal]]:
        """The lists of these hosts, and the refusals of those that gave none."""
        answers = await gather(Deferred.fromCoroutine(self._list(host, deadline)) for host in hosts)
        silent = {host: answer for host, answer in zip(hosts, answers, strict=True) if isinstance(answer, Refusal)}
        return [answer for answer in answers if not isinstance(answer, Refusal)], silent

    async def _list(self, host: str, deadline: float) -> list[dict[str, Any]]:
        """The whole list of a host, page by page."""
        found, after = await self._call(host, replies.page, "list_instances", deadline=deadline)
        for _ in range(MAX_PAGES):
            if not after:
                return found
            more, last = await self._call(host, replies.page, "list_instances", deadline=deadline, after=after)
            found += more
            after = last if last > after else ""
        raise ServiceUnavailable(f"compute host {host} lists more than {MAX_PAGES} pages of servers")

    async def _published(self, answering: set[str]) -> dict[str, list[dict[str, Any]]]:
        """What the other hosts published; a store that does not answer costs nobody the list."""
        try:
            return await self._locations.away(answering)
        except ServiceUnavailable as refusal:
            _log.warn(
                "servers of compute hosts that do not answer are missing in the list: {reason}", reason=str(refusal)
            )
            return {}

    async def find(self, instance_uuid: str) -> dict[str, Any]:
        """The server, from the host where it is active, else from one that knows it.

        :raises InstanceNotFound: every live host says that it has no such server, or the id is not a UUID.
        :raises ServiceUnavailable: a host did not answer and none of the others has it, or no compute host is live.
        """
        if not is_uuid(instance_uuid):
            raise InstanceNotFound("not a UUID")
        hosts = await self.hosts()
        if not hosts:
            raise ServiceUnavailable("no compute host is live")

        def one_instance(host: str, answer: Any) -> dict[str, Any]:
            instance = replies.instance(host, answer)
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
            lambda host, answer: replies.console(host, instance["uuid"], answer),
            "get_vnc_console",
            instance_uuid=instance_uuid,
            console_type=console_type,
            user_id=user_id,
            project_id=project_id,
        )

    def _call(
        self, host: str, read: Callable[[str, Any], T], method: str, deadline: float | None = None, **arguments: Any
    ) -> "Deferred[T]":
        called = self._transport.call(COMPUTE.of(host), method, deadline=deadline or self._deadline, **arguments)
        return called.addErrback(_with_host, host).addCallback(lambda answer: read(host, answer))


def _with_host(failure: Failure, host: str) -> Failure:
    """Name the host in a ServiceUnavailable: what it reports of its libvirt does not."""
    error = failure.value
    if isinstance(error, ServiceUnavailable) and host not in error.detail:
        return Failure(ServiceUnavailable(f"compute host {host}: {error.detail}"))
    return failure


def _is_active(instance: dict[str, Any]) -> bool:
    return instance.get("state") not in (None, "shutoff", "nostate", replies.UNKNOWN) and not instance.get("migrating")
