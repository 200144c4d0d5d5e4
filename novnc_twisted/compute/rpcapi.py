"""Calls compute hosts to find and list servers, to get new consoles and screenshots, and to begin power actions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.logger import Logger

from novnc_twisted.compute import arguments, replies
from novnc_twisted.compute.host_calls import HostCalls
from novnc_twisted.compute.instance_directory import InstanceDirectory
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.record import read
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import InstanceNotFound, Refusal, ServiceUnavailable
from novnc_twisted.messaging.domain_directory import MAX_ASKED
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport

LIST_DEADLINE = 2.0
"""Seconds for the list of a host that has published no usable record (see :class:`ComputeAPI`)."""

_log = Logger()


class ComputeAPI:
    """Calls the compute hosts.  A host that is down or hangs never hides the servers of other hosts.

    Compute hosts publish their servers in records.  Lists are made from these records.  For a single server, the
    records only show which host to ask, and the host's answer is used.  A record is *current* while its host is alive
    and the host's libvirt answers.  It is *usable*, current or not, if it can be read.

    :param deadline: seconds for the answer of each host; hosts are asked at the same time.
    :param now: a clock in seconds.  With a clock, requests use the same copy of the published records for a short time;
        None: each request updates the copy.
    """

    def __init__(self, transport: ITransport, *, deadline: float = 5.0, now: Callable[[], float] | None = None) -> None:
        self._transport = transport
        self._deadline = deadline
        self._calls = HostCalls(transport, deadline, now)
        self._directory = InstanceDirectory(transport, now)

    def prepare(self) -> None:
        """Begin to read the published records in the background, so that they are ready for the first request."""
        self._directory.prepare()

    def stop(self) -> None:
        """Stop the reading that :meth:`prepare` began."""
        self._directory.stop()

    async def hosts(self) -> list[str]:
        """Return the names of the live compute hosts, sorted."""
        services = await self._transport.services(COMPUTE.prefix)
        return sorted({COMPUTE.member(service.topic) for service in services})

    # --- lists

    async def list_instances(self, project: str | None = None) -> list[Instance]:
        """Return all servers, or all servers of a project; see :meth:`page`."""
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
        """Return servers in the order of names and UUIDs, each once, and whether further servers follow.

        The states in the list are those after the latest events of libvirt.  Servers of a dead host, or of a host whose
        libvirt does not answer, have the state "unknown".

        At most MAX_ASKED live hosts without a usable record are asked for their servers.  If none of them answers
        within :data:`LIST_DEADLINE`, and no record is current, they are asked once more.  A warning is logged for each
        host that does not answer.  Of its servers, only those in this process's copy of the records are listed, with
        the state "unknown".

        :param project: the id or name of the project whose servers are listed; None: all projects.
        :param visible: whether the caller may see a server.
        :param wanted: whether a visible server belongs in the list.
        :param name: a text that the name must contain.
        :param marker: the UUID of the last server of the previous page.
        :param limit: the maximum number of servers; None: all.
        :raises InstanceNotFound: the marker is not the UUID of a visible server.
        :raises ServiceUnavailable: no record is current and no compute host answers, or the list of live hosts cannot
            be read.
        """
        await self._directory.refresh()
        if not self._directory.any_current:
            # Before an error says that no host answers, make sure that the copy of the records is new.
            await self._directory.look()
        more = await self._unpublished()
        after = None
        if marker is not None:
            after = self._directory.best(marker.lower(), more, visible)
            # The same error as for an unknown marker, so that the caller does not learn which servers exist.
            if after is None or not visible(after):
                raise InstanceNotFound("the marker is unknown")
        return self._directory.page(project, after, limit, name, visible, wanted, more)

    async def _unpublished(self) -> dict[str, Instance]:
        """Ask at most MAX_ASKED live hosts without a usable record; return their servers by UUID.

        :raises ServiceUnavailable: no host answers, and no record is current.
        """
        directory = self._directory
        hosts, current = list(directory.unpublished[:MAX_ASKED]), directory.any_current
        if len(hosts) < len(directory.unpublished):
            left_out = len(directory.unpublished) - len(hosts)
            _log.warn(
                "{count} compute hosts have not published a usable list of their servers and were not asked; their "
                "servers are not listed",
                count=left_out,
            )
        first = min(LIST_DEADLINE, self._deadline)
        lists, silent = await self._calls.lists(hosts, first)
        if silent and not lists and not current and first < self._deadline:
            # Ask again with the rest of the deadline: a late answer is better than no answer.
            lists, silent = await self._calls.lists(hosts, self._deadline - first)
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

    # --- one server

    async def find(self, instance_uuid: str, visible: Callable[[Instance], bool] = lambda _instance: True) -> Instance:
        """Return a server as reported by the host where it is active, or else by another host that knows it.

        First, the live hosts that published the server, and live hosts without a usable record, are asked.  This is
        enough if a host reports the server as active, or if all these hosts report the server in the state that they
        published.  If not, all other live hosts are asked, or in a large cloud, only those without a current record
        (see :meth:`.DomainDirectory.all_candidates`).

        Among equally good reports, one that the caller may see is preferred: a host that reports a wrong owner for
        another host's server must not hide that server from its owner.

        :param visible: whether the caller may see a server.  This method can also return a server that the caller may
            not see.
        :raises InstanceNotFound: no live host has the server, or the id is not a UUID.
        :raises ServiceUnavailable: no compute host is live, the list of live hosts cannot be read, or too many hosts
            would have to be asked.  Or no host has reported the server, and a host that may have it did not answer or
            was not asked.
        """
        uuid = arguments.instance_uuid(instance_uuid)
        updated = await self._directory.refresh()
        answers = await self._ask(self._directory.candidates(uuid), uuid, visible)
        found = [answer for answer in answers.values() if isinstance(answer, Instance)]
        if not any(one.is_active for one in found) and not self._is_as_published(uuid, answers):
            # Update the copy, unless refresh() has just done that and no time has passed in calls to hosts.
            if answers or not updated:
                await self._directory.look()
            # Ignore the answers of hosts that are no longer live: the domain may be on another host now.
            answers = {host: answer for host, answer in answers.items() if host in self._directory.live}
            others = [host for host in self._directory.all_candidates(uuid) if host not in answers]
            answers |= await self._ask(others, uuid, visible)
            found = [answer for answer in answers.values() if isinstance(answer, Instance)]
        if found:
            return max(found, key=lambda one: (one.is_active, visible(one)))
        if not self._directory.live:
            raise ServiceUnavailable("no compute host is live")
        for answer in answers.values():
            if isinstance(answer, Refusal) and not isinstance(answer, InstanceNotFound):
                raise answer
        # Meanwhile, another request may have updated the directory and found a live host that was not asked here.
        back = [host for host in self._directory.all_candidates(uuid) if host not in answers]
        if back:
            raise ServiceUnavailable(f"compute host {back[0]} has just come back")
        raise InstanceNotFound(instance_uuid)

    async def last_known(self, instance_uuid: str) -> Instance | None:
        """Return a server that a dead host published, in the state "unknown"; None: no dead host published it.

        :raises ServiceUnavailable: the published records or the list of live hosts cannot be read, or the record of
            a dead host cannot be used.
        """
        await self._directory.look()
        host = self._directory.last_host(instance_uuid.lower())
        return None if host is None else self._directory.entries(instance_uuid.lower())[host].as_unknown()

    async def get_vnc_console(self, instance_uuid: str, console_type: str, host: str | None = None) -> Console:
        """Return a console with a new token.  The token is valid only after consoleauth has authorized it.

        :param host: the compute host to ask first.  If it is None or does not have the server, the host is looked up.
        :raises InstanceNotFound: no live host knows the server.
        :raises InstanceNotRunning: the server is stopped, a migration has paused it, or its VNC port is not known yet.
        :raises ConsoleTypeUnavailable: the server has no listening VNC display, or its host does not offer this console
            type.
        :raises ConsoleUnreachable: another running server of the same host claims the same VNC address.
        """
        asked: dict[str, Any] = {"instance_uuid": instance_uuid, "console_type": console_type}

        def read(host: str, answer: Any) -> Console:
            return replies.console(host, instance_uuid.lower(), answer)

        if host is not None:
            try:
                return await self._calls.call(host, read, "get_vnc_console", **asked)
            except InstanceNotFound:
                pass  # the server has just left this host
        return await self._calls.call((await self.find(instance_uuid)).host, read, "get_vnc_console", **asked)

    async def change_power(self, instance: Instance, action: str) -> PowerReply:
        """Begin a power action, and return the answer of the server's host.

        :param action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
        :raises InstanceNotFound: the server is no longer on the host that reported it.
        :raises ServiceUnavailable: the host or its libvirt does not answer.  Or the server is not active on this host,
            but may still run on another host that does not answer: if the action started the server a second time, two
            VMs would write to one disk and destroy its data.
        """
        if not instance.is_active and (elsewhere := self._may_run_on(instance)) is not None:
            raise ServiceUnavailable(f"compute host {elsewhere}, which last ran the server, does not answer")

        def reply(host: str, answer: Any) -> PowerReply:
            return read(PowerReply, answer, f"compute host {host}")

        return await self._calls.call(instance.host, reply, "change_power", instance_uuid=instance.uuid, action=action)

    async def get_screenshot(self, instance: Instance, kind: str, width: int | None) -> Screenshot:
        """Return a picture of a server's screen.

        :param kind: one of :data:`novnc_twisted.contract.screenshot.FORMATS`.
        :param width: the maximum width in pixels; None: the screen's own width.
        :raises InstanceNotFound: the server is no longer on the host that reported it.
        :raises InstanceNotRunning: the server is stopped.
        :raises ServiceUnavailable: the host or its libvirt does not answer, or gives no picture.
        """

        def reply(host: str, answer: Any) -> Screenshot:
            return read(Screenshot, answer, f"compute host {host}")

        asked: dict[str, Any] = {"instance_uuid": instance.uuid, "kind": kind, "width": width}
        return await self._calls.call(instance.host, reply, "get_screenshot", **asked)

    def _may_run_on(self, instance: Instance) -> str | None:
        """Return a host other than ``instance.host`` that may run the server; None: no such host.

        The record of such a host shows the server as active, but is not current.
        """
        entries = self._directory.entries(instance.uuid)
        there = (host for host, entry in entries.items() if entry.is_active and not self._directory.is_current(host))
        return next((host for host in there if host != instance.host), None)

    async def _ask(
        self, hosts: Iterable[str], uuid: str, visible: Callable[[Instance], bool]
    ) -> dict[str, Instance | Refusal]:
        """Ask hosts for a server.  Stop waiting when a host reports the server as active and the caller may see it."""
        hosts = list(hosts)

        def read(host: str, answer: Any) -> Instance:
            instance = replies.instance(host, answer)
            # A wrong answer must not give access to a server of another project.
            if instance.uuid != uuid:
                raise ServiceUnavailable(f"compute host {host} reported another instance")
            return instance

        answers = await gather(
            (self._calls.call(host, read, "get_instance", instance_uuid=uuid) for host in hosts),
            enough=lambda one: one.is_active and visible(one),
        )
        return dict(zip(hosts, answers, strict=True))

    def _is_as_published(self, uuid: str, answers: Mapping[str, Instance | Refusal]) -> bool:
        """Return whether hosts were asked, and all of them report the server in the state that they published."""
        entries = self._directory.entries(uuid)
        return any(isinstance(answer, Instance) for answer in answers.values()) and all(
            isinstance(answer, Instance) and host in entries and answer.state == entries[host].state
            for host, answer in answers.items()
        )
