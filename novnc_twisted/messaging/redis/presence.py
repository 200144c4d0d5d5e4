"""Signs of life: what this process announces, and who else is there."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Service, TopicInUse
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.claims import Claim, conflict, origin
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import BEAT, FROZEN, PRESENCE
from novnc_twisted.messaging.redis.running import RETRY
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES, WITHDRAW
from novnc_twisted.messaging.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.wire import check_topic, decode

CLAIM_RETRY = 0.25
"""Seconds between two attempts to get a topic that another server has."""

_PERIOD = int(PRESENCE * 1000)


@dataclass(frozen=True, slots=True, eq=False)
class Announcement:
    """What is announced.

    :ivar info: what else it says, a JSON object.
    :ivar lists: the lists of calls that it serves.
    :ivar exclusive: whether it must be the only server of its topic.
    :ivar owned: called with each change of whether it may serve the topic, where it is exclusive.
    """

    topic: str
    worker: str
    binary: str
    host: str
    info: str
    lists: tuple[str, ...] = ()
    place: str = ""
    exclusive: bool = False
    owned: Callable[[bool], None] = lambda _owned: None

    @property
    def name(self) -> str:
        """Under which it is announced."""
        return f"{self.topic}@{self.place}"

    @property
    def server(self) -> str:
        """Its name among the servers of its topic; empty where it serves nothing."""
        return self.worker if self.lists else ""

    def member(self, origin: str) -> str:
        """What stands under its topic.

        :param origin: names this process for people.
        """
        names = f'"binary":{json.dumps(self.binary)},"host":{json.dumps(self.host)},"from":{json.dumps(origin)}'
        return f'{self.worker} {{{names},"info":{self.info}}}'


class Presence:
    """The announcements of one process, renewed each second and as soon as Redis is back.

    :param keeps: whether it may take others out of the set of topics: those that are gone.
    :param health: reports that another process has a topic that must have one server only.
    """

    def __init__(self, reactor: Any, link: CommandLink, keeps: bool, health: Health) -> None:
        self._reactor = reactor
        self._link = link
        self._keeps = "1" if keeps else ""
        self._health = health
        self._announced: dict[Announcement, Claim] = {}
        self._origin = ""
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Begin to renew."""
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Renew no more."""
        running, self._running = self._running, None
        if running is not None:
            await ended(running, self._reactor)

    async def add(self, announcement: Announcement) -> None:
        """Announce it from now on.

        :raises TopicInUse: it is exclusive, and another live process has its topic.
        """
        if self._running is not None and announcement.exclusive:
            await self._claim(announcement)
        self._announced[announcement] = Claim(announcement.topic, announcement.owned, self._health)
        if self._running is not None:
            await self._renew(announcement)

    async def remove(self, announcement: Announcement, deadline: float = FROZEN) -> list[Any]:
        """Announce it no more; of each of its lists, the requests that nobody takes any more."""
        if self._announced.pop(announcement, None) is None:
            return []
        names = [keys.announced(announcement.name), keys.servers(announcement.topic), *announcement.lists]
        words = announcement.member(self._origin), announcement.server
        try:
            return list(await self._link.run(WITHDRAW, names, *words, deadline=deadline))
        except ServiceUnavailable:
            return []  # it expires

    def renew(self) -> None:
        """Renew at once: Redis is back, and may have forgotten us."""
        # The same in all entries of this process, which are removed by their text.
        self._origin = self._origin or origin(self._link.local_address)
        for announcement in list(self._announced):
            Deferred.fromCoroutine(self._renew(announcement))

    async def services(self, prefix: str, deadline: float) -> list[Service]:
        """The live services whose topic begins so.

        :raises ServiceUnavailable: Redis does not answer.
        """
        asking = Deferred.fromCoroutine(self._services(prefix, deadline))
        try:
            found = await within(asking, deadline, self._reactor)
        except Late:
            raise ServiceUnavailable(f"Redis did not answer within {deadline:g} s") from None
        services = [_service(*found[place : place + 3]) for place in range(0, len(found) - 2, 3)]
        return sorted(
            (service for service in services if service is not None and service.topic.startswith(prefix)),
            key=lambda service: (service.topic, service.worker),
        )

    async def _services(self, prefix: str, deadline: float) -> list[Any]:
        while True:
            words = keys.announced(""), self._keeps, prefix
            found = await self._link.run(SERVICES, [keys.SERVICES], *words, deadline=deadline)
            doubt = self._link.doubtful
            if not doubt:
                return list(found)
            await sleep(doubt, self._reactor)

    async def _run(self) -> None:
        while True:
            # Services that start together find one another as soon as Redis has the scripts.
            await sleep(RETRY if self._link.waits_for_scripts else BEAT, self._reactor)
            if self._announced:
                await gatherResults([Deferred.fromCoroutine(self._renew(one)) for one in list(self._announced)])

    async def _claim(self, one: Announcement) -> None:
        """Wait until no other process has the topic, or for as long as a crashed one is still believed."""
        waited = 0.0
        try:
            while others := await self._announce(one):
                if waited > PRESENCE:
                    raise TopicInUse(f"Redis {self._conflict(one, others)}")
                await sleep(CLAIM_RETRY, self._reactor)
                waited += CLAIM_RETRY
        except ServiceUnavailable:
            return  # Redis can't be reached: it is claimed when it is back

    async def _renew(self, one: Announcement) -> None:
        try:
            others = await self._announce(one)
        except ServiceUnavailable:
            return  # the link says so; the next one comes in a second
        claim = self._announced.get(one)
        if claim is None:
            return
        if others:
            claim.lost(self._conflict(one, others))
        else:
            claim.won()

    async def _announce(self, one: Announcement) -> list[Any]:
        """Renew a presence entry; gives the entries of those that have the topic instead.

        :raises ServiceUnavailable: Redis does not answer.
        """
        names = [keys.SERVICES, keys.announced(one.name), keys.servers(one.topic)]
        words = _PERIOD, one.name, one.member(self._origin), one.server, self._keeps, "1" if one.exclusive else ""
        reply = await self._link.run(ANNOUNCE, names, *words, deadline=FROZEN)
        return (reply or await self._elsewhere(one)) if isinstance(reply, list) else []

    async def _elsewhere(self, one: Announcement) -> list[Any]:
        """The entries of those that have a topic at another place than this process' own."""
        words = keys.announced(""), "", f"{one.topic}@"
        try:
            found = await self._link.run(SERVICES, [keys.SERVICES], *words, deadline=FROZEN)
        except ServiceUnavailable:
            found = []
        return found[1::3] or [""]

    def _conflict(self, one: Announcement, others: list[Any]) -> str:
        return conflict(one.topic, one.host, self._origin, others)


def _service(name: Any, member: Any, score: Any) -> Service | None:
    try:
        worker, text = member.split(" ", 1)
        topic, _, place = name.rpartition("@")
        check_topic(topic)
        said = decode(text)
        binary, host, info = said["binary"], said["host"], said["info"]
        believed_until = float(score) / 1000
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not (isinstance(binary, str) and isinstance(host, str) and isinstance(info, dict)):
        return None
    return Service(topic, worker, binary, host, believed_until - PRESENCE, info, place)
