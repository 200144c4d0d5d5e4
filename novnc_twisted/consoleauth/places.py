"""Finds the place (the address) of a server's console: which compute hosts to ask, and which of the answers to use."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.consoleauth.time_limit import TimeLimit
from novnc_twisted.contract import fields
from novnc_twisted.contract.place import Place
from novnc_twisted.contract.record import read
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    Refusal,
    ServiceUnavailable,
)
from novnc_twisted.messaging.domain_directory import MAX_ASKED, DomainDirectory
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.waiting import sleep

_LIKELY, _OTHERS, _CONFLICTS, _GONE = 1.0, 1.5, 1.0, 2.0
"""Deadlines in seconds: for likely hosts, for other hosts, for the check for address conflicts, and for ``is_gone``."""

_PUBLISHED = 1.0
"""Seconds within which a host usually publishes a change.  A host with thousands of servers takes longer."""

_REPORT_AGAIN = 60.0
"""Minimum number of seconds between two equal log lines."""

_MAX_REPORTED = 1000
"""Maximum number of log lines that are remembered in order to find equal ones."""

_log = Logger()


class Places:
    """Asks the compute hosts where a console is.

    Each compute host publishes a record of its servers (:mod:`novnc_twisted.messaging.domain_directory`).  These
    records only select the hosts to ask.  The answer of a live host decides.

    :param clock: for deadlines, for the age of this process's copy of the records, and to log a conflict at most once
        a minute.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        self._transport = transport
        self._directory = DomainDirectory(transport, _published_owners, clock.seconds)
        self._clock = clock
        self._reported: dict[str, float] = {}

    def prepare(self) -> None:
        """Begin to read the published records in the background, so that they are ready for the first token."""
        self._directory.prepare()

    def stop(self) -> None:
        """Stop the reading that :meth:`prepare` began."""
        self._directory.stop()

    async def published_owner(self, instance_uuid: str, owner: str) -> bool:
        """Return whether all hosts that published a server published it with this owner.

        If the records of the hosts cannot be read now, those of the last update are used.  Also return True if no host
        published the server, or if no records were ever read.  So True proves nothing; it only means that no record
        contradicts this owner.

        :param owner: the id or the name of a project.
        """
        with suppress(ServiceUnavailable):
            await self._directory.refresh()
        return all(owner in owners for owners in self._directory.entries(instance_uuid).values())

    async def locate(
        self,
        instance_uuid: str,
        console_type: str,
        port: int,
        compute_host: str | None,
        limit: TimeLimit,
        *,
        reserve: float = 0.0,
    ) -> Place:
        """Ask compute hosts where the console of a token is now.

        First ask the host that made the token.  Ask other live hosts only if this host is unknown, is not live, or
        answers that it does not run the server.

        While the compute service of a host restarts, the host counts as live, and answers only after the restart.  So
        the call to the host that made the token gets all the time that is left for the search.

        :param port: the port of the console when the token was made; the host logs a change of the port.
        :param compute_host: the host that made the token; None: unknown.
        :param limit: the time limit of the calling method.
        :param reserve: seconds to leave for the calls that the calling method makes afterwards.
        :raises InstanceNotRunning: no host has answered that it runs the server, but a live host knows the server.
        :raises InstanceNotFound: no live host knows the server, the token's host is live or unknown, and all hosts that
            published the server are live.
        :raises ConsoleTypeUnavailable: the server runs, but its host offers no console of this type for it.
        :raises ConsoleUnreachable: two hosts run the server, or another running server claims the same address.
        :raises ServiceUnavailable: no host is live.  Or no live host has answered that it knows the server, and one of
            the following is true: a host that may run it does not answer; the token's host, or a host that published
            the server, is not live.
        """
        asked = {"instance_uuid": instance_uuid, "console_type": console_type, "port": port}
        directory = self._directory
        later = _CONFLICTS + reserve
        await directory.refresh()
        answers: dict[str, Any] = {}
        first = compute_host or ""
        if first in directory.live:
            answers = await self._ask("validate_console_port", [first], limit.left(reserve=later), asked)
            if _runs(answers[first]):
                return await self._accept(instance_uuid, answers, limit.left(_CONFLICTS, reserve=reserve))
        await directory.look()  # the list of live hosts decides what follows, and may be old after refresh()
        if not directory.live:
            raise ServiceUnavailable("no compute host is live")
        answers = {host: answer for host, answer in answers.items() if host in directory.live}
        # If the token's host is live only now, it was not asked above.
        if first in directory.live and first not in answers:
            answers = await self._ask("validate_console_port", [first], limit.left(reserve=later), asked)
        likely, everywhere = directory.candidates(instance_uuid), partial(directory.all_candidates, instance_uuid)
        # In the first round, `find` is `list`, and `list()` is empty: only evaluate the answer of the token's host.
        # The last round asks hosts that came back while the others were asked.
        others = (everywhere, _OTHERS)
        for find, deadline in ((list, 0.0), (lambda: likely, _LIKELY), others, others):
            missing = [host for host in find() if host not in answers]
            answers |= await self._ask("validate_console_port", missing, limit.left(deadline, reserve=later), asked)
            if any(map(_runs, answers.values())):
                return await self._accept(instance_uuid, answers, limit.left(_CONFLICTS, reserve=reserve))
            # Ask other hosts only if the token's host is unknown or not live, or has answered that it does not run the
            # server.  If they were asked in other cases, an attacker who controls one of them could claim the server.
            if not isinstance(answers.get(first, InstanceNotFound()), InstanceNotFound | InstanceNotRunning):
                break
        refusal = _not_running(instance_uuid, answers)
        if isinstance(refusal, InstanceNotFound):
            self._refuse_unasked(instance_uuid, answers)
            self._refuse_while_away(instance_uuid, compute_host)
        raise refusal

    async def _accept(self, instance_uuid: str, answers: Mapping[str, Any], deadline: float) -> Place:
        """Return the place of the server on the one host that runs it.

        :param deadline: seconds for the check for address conflicts.
        """
        running = [host for host, answer in answers.items() if _runs(answer)]
        # If several hosts claim to run the server, none of them is chosen: one of the claims may be false, and the
        # console would show another server's screen.
        if len(running) > 1:
            self._refuse_two_hosts(instance_uuid, running)
        host, answer = running[0], answers[running[0]]
        if isinstance(answer, Refusal):
            raise answer
        # If the host is no longer live, the address that it announced is unknown, so its answer cannot be verified.
        if host not in self._directory.live:
            raise ServiceUnavailable(f"{instance_uuid}: compute host {host} is no longer alive")
        place = _place(host, answer, self._directory.live[host])
        await self._refuse_conflicts(instance_uuid, place, deadline)
        return place

    async def refuse_if_running_elsewhere(self, instance_uuid: str, console_type: str, compute_host: str) -> None:
        """Refuse a token if a live host other than ``compute_host`` runs the server.

        Ask the live hosts that published the server, and live hosts without a usable record.  A host that does not
        answer soon is ignored.

        :raises ConsoleUnreachable: another host runs the server.
        :raises ServiceUnavailable: the list of live hosts cannot be read.
        """
        await self._directory.refresh()
        others = [host for host in self._directory.candidates(instance_uuid) if host != compute_host]
        asked = {"instance_uuid": instance_uuid, "console_type": console_type, "port": None}
        answers = await self._ask("validate_console_port", others, _OTHERS, asked)
        running = [host for host, answer in answers.items() if _runs(answer)]
        if running:
            self._refuse_two_hosts(instance_uuid, [compute_host, *running])

    async def is_gone(self, instance_uuid: str, hosts: Iterable[str | None]) -> bool:
        """Return whether a server no longer exists: no live host knows it, and each host that may have run it is live.

        A missing answer proves nothing.  An attacker who controls one compute host can fill the list of replies, so
        that the answers of other hosts are lost (docs/redis_acl).

        :param hosts: the hosts that made tokens for the server; None stands for an unknown host.
        :raises ServiceUnavailable: a host that may have the server does not answer or is not live, and no other host
            knows the server.
        """
        directory, limit = self._directory, TimeLimit(self._clock)
        await directory.look()
        if len(directory.live) > MAX_ASKED:
            # With so many hosts, the calls below go only to hosts that published the server, and to hosts that do not
            # keep their records up to date.  A host to which the server has just moved needs time to publish the
            # server, so wait first.
            await sleep(_PUBLISHED, self._clock)
            await directory.look()
        answers: dict[str, Any] = {}
        for find in (directory.candidates, directory.all_candidates):
            missing = [host for host in find(instance_uuid) if host not in answers]
            answers |= await self._ask("get_instance", missing, limit.left(_GONE), {"instance_uuid": instance_uuid})
            if any(not isinstance(answer, Refusal) for answer in answers.values()):
                return False
        # Only InstanceNotFound proves that a host does not have the server.
        if not all(isinstance(answer, InstanceNotFound) for answer in answers.values()):
            raise ServiceUnavailable("a compute host did not say whether it has the server")
        self._refuse_unasked(instance_uuid, answers)
        # The call with None only checks the records of hosts that are not live.  It is needed if `hosts` is empty.
        for host in {None, *hosts}:
            self._refuse_while_away(instance_uuid, host)
        return True

    def _refuse_unasked(self, instance_uuid: str, answers: Mapping[str, Any]) -> None:
        """Refuse if a live host may have the server, but was not asked, because it has come back only now.

        :raises ServiceUnavailable: there is such a host.
        """
        unasked = [host for host in self._directory.all_candidates(instance_uuid) if host not in answers]
        if unasked:
            raise ServiceUnavailable(f"{instance_uuid}: compute host {unasked[0]} has just come back")

    def _refuse_while_away(self, instance_uuid: str, compute_host: str | None) -> None:
        """Refuse if a host that is not live may have the server.  The caller has just updated the directory.

        :param compute_host: a host that made a token for the server; None: unknown.
        :raises ServiceUnavailable: this host is not live; or another host that is not live published the server; or the
            records of hosts that are not live cannot be read.
        """
        if compute_host is not None and compute_host not in self._directory.live:
            raise ServiceUnavailable(
                f"{instance_uuid}: compute host {compute_host}, which had the server, is not alive"
            )
        last = self._directory.last_host(instance_uuid)
        if last is not None:
            raise ServiceUnavailable(f"{instance_uuid}: compute host {last}, which last had the server, is not alive")

    async def _ask(
        self, method: str, hosts: Iterable[str], deadline: float, asked: Mapping[str, Any]
    ) -> dict[str, Any | Refusal]:
        """Call all of these hosts at the same time; return the answer or the Refusal of each."""
        hosts = list(hosts)
        replies = await gather(
            self._transport.call(COMPUTE.of(host), method, deadline=deadline, **asked) for host in hosts
        )
        return dict(zip(hosts, replies, strict=True))

    def _refuse_two_hosts(self, instance_uuid: str, running: Iterable[str]) -> NoReturn:
        hosts = sorted(running)
        self._report(
            f"server {instance_uuid} runs on {' and '.join(hosts)}: its console is refused until only one host runs it"
        )
        raise ConsoleUnreachable(f"{len(hosts)} hosts run the server")

    async def _refuse_conflicts(self, instance_uuid: str, place: Place, deadline: float) -> None:
        """Refuse an address that a running server of another host claims as well.

        If several hosts announce the same address, each of them may have a server at the same port, and a connection
        could reach the wrong server.  A console with a unix socket is not checked: only a proxy on the server's own
        host can use the socket, so equal socket names on several hosts do no harm.
        """
        if place.socket is not None:
            return
        neighbours = [host for host in self._directory.at(place.host) if host != place.compute_host]
        if not neighbours:
            return
        asked = {"host": place.host, "port": place.port, "socket": None}
        for host, answer in (await self._ask("get_instances_at_address", neighbours, deadline, asked)).items():
            # Missing answers and refusals are ignored: a host that hangs must not make consoles of other hosts
            # unavailable.
            found = [] if isinstance(answer, Refusal) else _uuids(host, answer)
            others = [uuid for uuid in found if uuid != instance_uuid]
            if others:
                self._report(
                    f"server {instance_uuid} on {place.compute_host} and server {others[0]} on {host} claim the same "
                    f"VNC address, {place.host} port {place.port}: the consoles of both are refused; give each "
                    "host a server_proxyclient_address of its own"
                )
                raise ConsoleUnreachable("two running servers claim the address of the console")

    def _report(self, line: str) -> None:
        now = self._clock.seconds()
        if now - self._reported.get(line, -_REPORT_AGAIN) < _REPORT_AGAIN:
            return
        if len(self._reported) >= _MAX_REPORTED:
            self._reported.clear()
        self._reported[line] = now
        _log.error("{line}", line=line)


def _published_owners(_host: str, domain: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the id and the name of the project that a published domain belongs to."""
    # Equal texts become one object: many domains have the same owner, and all published domains stay in memory.
    return tuple(
        fields.one_object(one) for one in (domain["project_id"], domain["project_name"]) if isinstance(one, str)
    )


def _runs(answer: Any) -> bool:
    """Return whether an answer of validate_console_port means that the server is active on the host that gave it.

    A host answers with ConsoleTypeUnavailable or ConsoleUnreachable only if the server is active there.
    """
    return isinstance(answer, dict | ConsoleTypeUnavailable | ConsoleUnreachable)


def _not_running(instance_uuid: str, answers: Mapping[str, Any]) -> Refusal:
    """Return the refusal for a server that no host runs, from the answers of all hosts that were asked."""
    for kind in (InstanceNotRunning, ServiceUnavailable):
        for host, answer in answers.items():
            if isinstance(answer, kind):
                return kind(f"{instance_uuid}: {host}: {answer.detail}")
    silent = [host for host, answer in answers.items() if not isinstance(answer, InstanceNotFound)]
    if silent:
        return ServiceUnavailable(f"{instance_uuid}: {silent[0]} sent an invalid answer")
    return InstanceNotFound(f"{instance_uuid}: no live host knows the server")


def _uuids(compute_host: str, answer: Any) -> list[str]:
    found = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ServiceUnavailable(f"{compute_host} sent an invalid list of instances")
    return [fields.argument("instances", uuid, fields.uuid) for uuid in found]


def _place(compute_host: str, answer: Any, address: str) -> Place:
    """Read the place that a host reports.

    :param address: the address that the host announced; empty: none.  If the host announced an address, a report with
        any other address is refused.
    """
    place = read(Place, answer, f"compute host {compute_host}", compute_host=compute_host)
    # The Redis user of a host may announce only the host's own address (messaging/redis/acl.py), but an answer could
    # name any address.
    if address and place.host != address:
        raise ServiceUnavailable(f"{compute_host} reported an address that it has not announced")
    if place.socket is None and place.port == 0:
        raise ServiceUnavailable(f"{compute_host} reported neither a port nor a socket")
    return place
