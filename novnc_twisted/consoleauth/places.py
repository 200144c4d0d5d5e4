"""Where a server's console is now: the walk over the compute hosts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.contract import fields
from novnc_twisted.contract.topics import COMPUTE
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    ConsoleUnreachable,
    InstanceNotFound,
    InstanceNotRunning,
    Refusal,
    ServiceUnavailable,
)
from novnc_twisted.messaging.domain_locations import DomainLocations
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport

# A proxy waits 5 s for the whole check: these three in a row fit into that.
_FIRST, _OTHERS, _CLAIMS = 2.0, 1.5, 1.0

_SAY_AGAIN = 60.0
_MAX_SAID = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a console is: as ConnectInfo's fields of these names.

    :ivar owners: the id and the name of the project that the server belongs to there; None where that is not told.
    """

    compute_host: str
    host: str
    port: int
    socket: str | None
    name: str
    owners: tuple[str, ...] | None = None


class Places:
    """Asks the compute hosts where a console is.

    :param clock: times how often the same conflict is logged.
    """

    def __init__(self, transport: ITransport, clock: IReactorTime) -> None:
        self._transport = transport
        self._locations = DomainLocations(transport.store)
        self._clock = clock
        self._said: dict[str, float] = {}

    async def locate(self, instance_uuid: str, console_type: str, port: int, compute_host: str | None) -> Place:
        """Ask the host that made the token; where that is gone or does not run the server, the other live ones.

        That host is believed before any other: while it is live, nobody else can say that he runs the server unless it
        says that it does not.

        :raises InstanceNotRunning: nobody runs it, a live host knows it.
        :raises InstanceNotFound: no live host knows it, and the token's host is one of them.
        :raises ConsoleTypeUnavailable: it runs without a VNC display.
        :raises ConsoleUnreachable: two hosts run it, or another running server claims the same address.
        :raises ServiceUnavailable: no host is live, one that might run it does not answer, or the host that had it last
            is not live and no other one runs it.
        """
        live = await self._live()
        if not live:
            raise ServiceUnavailable("no compute host is live")
        asked = {"instance_uuid": instance_uuid, "console_type": console_type, "port": port}
        first = [compute_host] if compute_host in live else []
        others = [host for host in live if host != compute_host]
        answers: dict[str, Any] = {}
        for hosts, deadline in ((first, _FIRST), (others, _OTHERS)):
            answers |= await self._ask("validate_console_port", hosts, deadline, asked)
            running = [host for host, answer in answers.items() if _runs(answer)]
            if len(running) > 1:
                self._refuse_twofold(instance_uuid, running)
            if running:
                answer = answers[running[0]]
                if isinstance(answer, Refusal):
                    raise answer
                place = _place(running[0], answer, live[running[0]])
                await self._refuse_claimed(instance_uuid, place, live)
                return place
            if any(not isinstance(answer, InstanceNotFound | InstanceNotRunning) for answer in answers.values()):
                break  # the token's host may run it
        refusal = _nobody_runs_it(instance_uuid, answers)
        if isinstance(refusal, InstanceNotFound):
            await self._refuse_while_away(instance_uuid, compute_host, live)
        raise refusal

    async def refuse_rivals(self, instance_uuid: str, console_type: str, compute_host: str) -> None:
        """No live host but this one may run a server for which a token is made.

        A host that does not answer is not waited for longer than others.

        :raises ConsoleUnreachable: another one runs it.
        """
        others = [host for host in await self._live() if host != compute_host]
        asked = {"instance_uuid": instance_uuid, "console_type": console_type, "port": None}
        answers = await self._ask("validate_console_port", others, _OTHERS, asked)
        running = [host for host, answer in answers.items() if _runs(answer)]
        if running:
            self._refuse_twofold(instance_uuid, [compute_host, *running])

    async def is_gone(self, instance_uuid: str, hosts: Iterable[str | None]) -> bool:
        """Whether no live host knows the server, and each host that may have had it is live.

        Silence says nothing: who was called may hinder what others answer, see docs/redis_acl.

        :param hosts: the hosts for which tokens of it were made; None: not known.
        :raises ServiceUnavailable: a host does not answer or is not live, and none of the others knows it.
        """
        live = await self._live()
        answers = await self._ask("get_instance", live, _FIRST, {"instance_uuid": instance_uuid})
        if any(not isinstance(answer, Refusal) for answer in answers.values()):
            return False
        if not all(isinstance(answer, InstanceNotFound) for answer in answers.values()):
            raise ServiceUnavailable("a compute host does not say whether it has it")
        for host in {None, *hosts}:
            await self._refuse_while_away(instance_uuid, host, live)
        return True

    async def _refuse_while_away(self, instance_uuid: str, compute_host: str | None, live: Mapping[str, str]) -> None:
        """No live host knows the server; but one that is not live may have it.

        :param compute_host: the host where it was last, as far as the caller knows.
        :raises ServiceUnavailable: that host is not live, or another one that is not live published that it has it.
        """
        if compute_host is not None and compute_host not in live:
            raise ServiceUnavailable(f"{instance_uuid}: compute host {compute_host}, which had it, is not alive")
        last = await self._locations.last_host_of(instance_uuid, live)
        if last is not None:
            raise ServiceUnavailable(f"{instance_uuid}: compute host {last[0]}, which has it, is not alive")

    async def _live(self) -> dict[str, str]:
        """The address of each live host."""
        services = await self._transport.services(COMPUTE.prefix)
        return {COMPUTE.member(service.topic): service.place for service in services}

    async def _ask(
        self, method: str, hosts: Iterable[str], deadline: float, asked: Mapping[str, Any]
    ) -> dict[str, Any | Refusal]:
        """The answers of these hosts, which are asked side by side."""
        hosts = list(hosts)
        replies = await gather(
            self._transport.call(COMPUTE.of(host), method, deadline=deadline, **asked) for host in hosts
        )
        return dict(zip(hosts, replies, strict=True))

    def _refuse_twofold(self, instance_uuid: str, running: Iterable[str]) -> NoReturn:
        hosts = sorted(running)
        self._say(
            f"server {instance_uuid} runs on {' and '.join(hosts)}: its console is refused until one of them is stopped"
        )
        raise ConsoleUnreachable(f"{len(hosts)} hosts run it")

    async def _refuse_claimed(self, instance_uuid: str, place: Place, live: Mapping[str, str]) -> None:
        """Two hosts that announce one address may both have a server at the same port of it: we can't tell whose it is.

        A unix socket is dialled only by the proxy of its own host, so a namesake on another one does no harm.
        """
        if place.socket is not None:
            return
        twins = [host for host, address in live.items() if host != place.compute_host and address == place.host]
        asked = {"host": place.host, "port": place.port, "socket": None}
        for host, answer in (await self._ask("claims", twins, _CLAIMS, asked)).items():
            # One that hangs hides nobody.
            claimed = [] if isinstance(answer, Refusal) else _uuids(host, answer)
            rivals = [uuid for uuid in claimed if uuid != instance_uuid]
            if rivals:
                self._say(
                    f"server {instance_uuid} on {place.compute_host} and server {rivals[0]} on {host} claim one VNC "
                    f"address, {place.host} port {place.port}: both are refused; give each host a "
                    "server_proxyclient_address of its own"
                )
                raise ConsoleUnreachable("two running servers claim its address")

    def _say(self, line: str) -> None:
        now = self._clock.seconds()
        if now - self._said.get(line, -_SAY_AGAIN) < _SAY_AGAIN:
            return
        if len(self._said) >= _MAX_SAID:
            self._said.clear()
        self._said[line] = now
        _log.error("{line}", line=line)


_log = Logger()


def _runs(answer: Any) -> bool:
    """Whether an answer of validate_console_port means that the server is active there."""
    return isinstance(answer, dict | ConsoleTypeUnavailable | ConsoleUnreachable)


def _nobody_runs_it(instance_uuid: str, answers: Mapping[str, Any]) -> Refusal:
    for kind in (InstanceNotRunning, ServiceUnavailable):
        for host, answer in answers.items():
            if isinstance(answer, kind):
                return kind(f"{instance_uuid}: {host}: {answer.detail}")
    silent = [host for host, answer in answers.items() if not isinstance(answer, InstanceNotFound)]
    if silent:
        return ServiceUnavailable(f"{instance_uuid}: {silent[0]} gave an answer that can't be used")
    return InstanceNotFound(f"{instance_uuid}: no live host knows it")


def _uuids(compute_host: str, answer: Any) -> list[str]:
    found = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ServiceUnavailable(f"{compute_host} gave no usable instances")
    return [fields.argument("instances", uuid, fields.uuid) for uuid in found]


def _owners(told: Any) -> tuple[str, ...] | None:
    if told is None:
        return None
    if not isinstance(told, list) or len(told) > 2:
        raise ServiceUnavailable("owners is not a list")
    return tuple(fields.argument("owners", one, fields.text) for one in told)


def _place(compute_host: str, answer: Mapping[str, Any], address: str) -> Place:
    """The place that a host gave.

    :param address: the host's own, where it announced one: at another it has no servers, whatever it says.
    """
    place = Place(
        compute_host,
        fields.argument("host", answer.get("host"), fields.short_text),
        fields.argument("port", answer.get("port"), fields.port),
        fields.argument("socket", answer.get("socket"), fields.optional(fields.short_text)),
        fields.argument("name", answer.get("name"), fields.text),
        _owners(answer.get("owners")),
    )
    if address and place.host != address:
        raise ServiceUnavailable(f"{compute_host} gave an address that is not its own")
    if place.socket is None and place.port == 0:
        raise ServiceUnavailable(f"{compute_host} gave neither port nor socket")
    return place
