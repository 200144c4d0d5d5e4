"""The caller's side of nova-compute: where a server is, lists of servers, and new tokens."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.compute import replies
from novnc_twisted.compute.instance_directory import InstanceDirectory
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.fields import is_uuid
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.record import read
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.host_record import MAX_DOMAINS
from novnc_twisted.messaging.interfaces import ITransport

LIST_DEADLINE = 2.0
"""Seconds in which a host without a published record must answer with a page of its list."""

MAX_PAGES = 100
"""Pages of a host's list; one page holds more than a thousand servers with names of usual length."""

T = TypeVar("T")

_log = Logger()


class ComputeAPI:
    """Calls to the compute hosts.  A host that is down or hangs never hides the others.

    What the hosts published says which host to ask; the host's own answer decides.

    :param deadline: seconds for the answer of each host; hosts are asked at the same time.
    :param now: a clock in seconds, for the short time for which the copy of the published records is used; None: each
        request updates the copy.
    """

    def __init__(self, transport: ITransport, *, deadline: float = 5.0, now: Callable[[], float] | None = None) -> None:
        self._transport = transport
        self._deadline = deadline
        self._now = now
        self._directory = InstanceDirectory(transport, now)

    def prepare(self) -> None:
        """Begin to read what the hosts published, so that the first request finds it there.  Returns at once."""
        self._directory.prepare()

    def stop(self) -> None:
        """Cancel what :meth:`prepare` began."""
        self._directory.stop()

    async def hosts(self) -> list[str]:
        """Return the names of the live compute hosts, sorted."""
        services = await self._transport.services(COMPUTE.prefix)
        return sorted({COMPUTE.member(service.topic) for service in services})

    # --- lists

    async def list_instances(self, project: str | None = None) -> list[Instance]:
        """Return all servers, or those of a project, as :meth:`page` does."""
        servers, _ = await self.page(project=project)
        return servers

    async def page(
        self,
        *,
        project: str | None = None,
        visible: Callable[[Instance], bool] = lambda _instance: True,
        wanted: Callable[[Instance], bool] = lambda _instance: True,
        name: str = "",
        marker: str | None = None,
        limit: int | None = None,
    ) -> tuple[list[Instance], bool]:
        """Return servers by name and UUID, each once, and whether further ones follow.

        The list is made of what the hosts published: the state of a server is that after libvirt's last event.  Servers
        of a host that is not alive, or whose libvirt does not answer, have the state "unknown".  A live host that
        published nothing is asked; if it does not answer within :data:`LIST_DEADLINE`, it is left out and logged.

        :param project: the id or name of a project: only its servers are looked at.
        :param visible: whether the caller may see a server.
        :param wanted: whether a visible server belongs into the list.
        :param name: a text that the name must contain.
        :param marker: the UUID of the last server of the previous page.
        :param limit: the number of servers, at most; None: all.
        :raises InstanceNotFound: the marker names no visible server.
        :raises ServiceUnavailable: no compute host answers.
        """
        await self._directory.refresh()
        if not self._directory.any_current:
            await self._directory.look()  # an old copy must not be the reason to report that no host answers
        more = await self._unpublished()
        after = None
        if marker is not None:
            after = self._directory.best(marker.lower(), more, visible)
            # The same error as for an unknown marker, so that nobody learns which servers exist.
            if after is None or not visible(after):
                raise InstanceNotFound("the marker is unknown")
        return self._directory.page(project, after, limit, name, visible, wanted, more)

    async def _unpublished(self) -> dict[str, Instance]:
        """Ask the live hosts that published nothing; give their servers by UUID.

        :raises ServiceUnavailable: no host answers, and no record is current.
        """
        directory = self._directory
        hosts, current = list(directory.unpublished), directory.any_current
        lists, silent = await self._lists(hosts, LIST_DEADLINE)
        if silent and not lists and not current:
            # A slow answer is better than none.
            lists, silent = await self._lists(hosts, self._deadline - LIST_DEADLINE)
        if not lists and not current:
            raise ServiceUnavailable(f"no compute host answers: {self._why(silent)}")
        for host, refusal in silent.items():
            _log.warn("compute host {host} did not list its servers: {reason}", host=host, reason=str(refusal))
        found: dict[str, Instance] = {}
        for instance in (instance for listed in lists for instance in listed):
            known = found.get(instance.uuid)
            if known is None or (instance.is_active and not known.is_active):
                found[instance.uuid] = instance
        return found

    def _why(self, silent: Mapping[str, Refusal]) -> str:
        if silent:
            return str(next(iter(silent.values())))
        host = next(iter(self._directory.live), None)
        return "none is alive" if host is None else f"libvirt of compute host {host} does not answer"

    async def _lists(self, hosts: list[str], deadline: float) -> tuple[list[list[Instance]], dict[str, Refusal]]:
        """Return the lists of the hosts that gave one, and the refusals of the other hosts."""
        answers = await gather(Deferred.fromCoroutine(self._list(host, deadline)) for host in hosts)
        silent = {host: answer for host, answer in zip(hosts, answers, strict=True) if isinstance(answer, Refusal)}
        return [answer for answer in answers if not isinstance(answer, Refusal)], silent

    async def _list(self, host: str, deadline: float) -> list[Instance]:
        """Return the whole list of a host, read page by page.

        :param deadline: seconds for all pages together.
        """
        until = None if self._now is None else self._now() + deadline
        found, after = await self._call(host, replies.page, "list_instances", deadline=deadline)
        # A host whose answers are wrong may always say that there is more; all of it would be kept in memory.
        for _ in range(MAX_PAGES):
            if not after:
                return found
            if len(found) > MAX_DOMAINS:
                raise ServiceUnavailable(f"compute host {host} lists more than {MAX_DOMAINS} servers")
            if self._now is not None and until is not None:
                deadline = until - self._now()
                if deadline <= 0:
                    raise ServiceUnavailable(f"compute host {host} did not list all of its servers in time")
            more, last = await self._call(host, replies.page, "list_instances", deadline=deadline, after=after)
            found += more
            # A page that does not go forward would be asked for without end.
            after = last if last > after else ""
        raise ServiceUnavailable(f"compute host {host} lists more than {MAX_PAGES} pages of servers")

    # --- one server

    async def find(self, instance_uuid: str, visible: Callable[[Instance], bool] = lambda _instance: True) -> Instance:
        """Return a server, as reported by the host where it is active, or else by a host that knows it.

        The hosts that published it are asked.  If their answers are not what they published, all live hosts are asked.

        Where several hosts report it alike, a report that the caller may see is preferred: else a host that claims the
        servers of other hosts, with another owner, would hide them from their owners.

        :param visible: whether the caller may see a server.  The result may be one that the caller may not see.
        :raises InstanceNotFound: every live host says that it has no such server, or the id is not a UUID.
        :raises ServiceUnavailable: a host did not answer and no other host has it, or no compute host is live.
        """
        if not is_uuid(instance_uuid):
            raise InstanceNotFound("not a UUID")
        uuid = instance_uuid.lower()
        await self._directory.refresh()
        answers = await self._ask(self._directory.candidates(uuid), uuid, visible)
        found = [answer for answer in answers.values() if isinstance(answer, Instance)]
        if not any(one.is_active for one in found) and not self._is_as_published(uuid, answers):
            await self._directory.look()
            # A host that has left since then may have answered for a domain that is elsewhere now.
            answers = {host: answer for host, answer in answers.items() if host in self._directory.live}
            answers |= await self._ask([host for host in self._directory.live if host not in answers], uuid, visible)
            found = [answer for answer in answers.values() if isinstance(answer, Instance)]
        if found:
            return max(found, key=lambda one: (one.is_active, visible(one)))
        if not self._directory.live:
            raise ServiceUnavailable("no compute host is live")
        for answer in answers.values():
            if isinstance(answer, Refusal) and not isinstance(answer, InstanceNotFound):
                raise answer
        raise InstanceNotFound(instance_uuid)

    async def last_known(self, instance_uuid: str) -> Instance | None:
        """Return what a host that is not alive published of a server; None: no such host had it.

        :raises ServiceUnavailable: the published records can't be read.
        """
        await self._directory.look()
        host = self._directory.last_host(instance_uuid.lower())
        return None if host is None else self._directory.entries(instance_uuid.lower())[host].as_unknown()

    async def get_vnc_console(self, instance_uuid: str, console_type: str, host: str | None = None) -> Console:
        """Return a new token for a server's console, which consoleauth has to authorise.

        :param host: the compute host that has the server; None: it is looked up.
        :raises InstanceNotFound: no live host knows the server.
        :raises InstanceNotRunning: it is stopped.
        :raises ConsoleTypeUnavailable: it has no VNC display, or its host does not serve such consoles.
        :raises ConsoleUnreachable: another running server of its host claims the same address.
        """
        asked: dict[str, Any] = {"instance_uuid": instance_uuid, "console_type": console_type}

        def read(host: str, answer: Any) -> Console:
            return replies.console(host, instance_uuid.lower(), answer)

        if host is not None:
            try:
                return await self._call(host, read, "get_vnc_console", **asked)
            except InstanceNotFound:
                pass  # it has just left this host
        return await self._call((await self.find(instance_uuid)).host, read, "get_vnc_console", **asked)

    async def change_power(self, instance: Instance, action: str) -> PowerReply:
        """Begin a power action, and return the answer of the server's host.

        :param action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
        :raises InstanceNotFound: the server is no longer on the host that reported it.
        :raises ServiceUnavailable: the host or its libvirt does not answer; or the action would start the server while
            it may still run on a host that does not answer: two VMs that write to one disk destroy it.
        """
        if not instance.is_active and (elsewhere := self._may_run_on(instance)) is not None:
            raise ServiceUnavailable(f"compute host {elsewhere}, which last ran it, does not answer")

        def reply(host: str, answer: Any) -> PowerReply:
            return read(PowerReply, answer, f"compute host {host}")

        return await self._call(instance.host, reply, "change_power", instance_uuid=instance.uuid, action=action)

    async def get_screenshot(self, instance: Instance, kind: str, width: int | None) -> Screenshot:
        """Return a picture of a server's screen.

        :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
        :param width: the width in pixels, at most; None: the screen's own.
        :raises InstanceNotFound: the server is no longer on the host that reported it.
        :raises InstanceNotRunning: it is stopped.
        :raises ServiceUnavailable: the host or its libvirt does not answer, or gives no picture.
        """

        def reply(host: str, answer: Any) -> Screenshot:
            return read(Screenshot, answer, f"compute host {host}")

        asked: dict[str, Any] = {"instance_uuid": instance.uuid, "kind": kind, "width": width}
        return await self._call(instance.host, reply, "get_screenshot", **asked)

    def _may_run_on(self, instance: Instance) -> str | None:
        """Return a host that does not answer and ran the server when it last reported it."""
        entries = self._directory.entries(instance.uuid)
        there = (host for host, entry in entries.items() if entry.is_active and not self._directory.is_current(host))
        return next((host for host in there if host != instance.host), None)

    async def _ask(
        self, hosts: Iterable[str], uuid: str, visible: Callable[[Instance], bool]
    ) -> dict[str, Instance | Refusal]:
        """Ask hosts for a server; once one of them has it active and visible, the others are not waited for."""
        hosts = list(hosts)

        def read(host: str, answer: Any) -> Instance:
            instance = replies.instance(host, answer)
            # A wrong answer must not open the server of another project.
            if instance.uuid != uuid:
                raise ServiceUnavailable(f"{host} reported another instance")
            return instance

        answers = await gather(
            (self._call(host, read, "get_instance", instance_uuid=uuid) for host in hosts),
            enough=lambda one: one.is_active and visible(one),
        )
        return dict(zip(hosts, answers, strict=True))

    def _is_as_published(self, uuid: str, answers: Mapping[str, Instance | Refusal]) -> bool:
        """Whether some host has the server, and each host that published it answered with what it published."""
        entries = self._directory.entries(uuid)
        return any(isinstance(answer, Instance) for answer in answers.values()) and all(
            isinstance(answer, Instance) and host in entries and answer.state == entries[host].state
            for host, answer in answers.items()
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
