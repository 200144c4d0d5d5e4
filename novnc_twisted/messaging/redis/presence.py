"""Signs of life: what this process announces, and who else is there."""

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Service
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.pulse import BEAT, FROZEN, PRESENCE
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES, WITHDRAW
from novnc_twisted.messaging.redis.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.wire import check_topic, decode

_PERIOD = int(PRESENCE * 1000)


@dataclass(frozen=True, slots=True, eq=False)
class Announcement:
    """What is announced: a service as JSON, and the lists of calls that it serves."""

    topic: str
    worker: str
    text: str
    lists: tuple[str, ...] = ()
    place: str = ""

    @property
    def name(self) -> str:
        """Under which it is announced."""
        return f"{self.topic}@{self.place}"

    @property
    def member(self) -> str:
        """What stands under its topic."""
        return f"{self.worker} {self.text}"

    @property
    def server(self) -> str:
        """Its name among the servers of its topic; empty where it serves nothing."""
        return self.worker if self.lists else ""


class Presence:
    """The announcements of one process, renewed each second and as soon as Redis is back.

    :param keeps: whether it may take others out of the set of topics: those that are gone.
    """

    def __init__(self, reactor: Any, link: Link, keeps: bool) -> None:
        self._reactor = reactor
        self._link = link
        self._keeps = "1" if keeps else ""
        self._announced: list[Announcement] = []
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
        """Announce it from now on."""
        self._announced.append(announcement)
        if self._running is not None:
            await self._announce(announcement)

    async def remove(self, announcement: Announcement, deadline: float = FROZEN) -> list[Any]:
        """Announce it no more; of each of its lists, the requests that nobody takes any more."""
        if announcement not in self._announced:
            return []
        self._announced.remove(announcement)
        names = [keys.announced(announcement.name), keys.servers(announcement.topic), *announcement.lists]
        words = announcement.member, announcement.server
        try:
            return list(await self._link.run(WITHDRAW, names, *words, deadline=deadline))
        except ServiceUnavailable:
            return []  # it expires

    def renew(self) -> None:
        """Renew at once: Redis is back, and may have forgotten us."""
        for announcement in self._announced:
            Deferred.fromCoroutine(self._announce(announcement))

    async def services(self, prefix: str, deadline: float) -> list[Service]:
        """The live services whose topic begins so.

        :raises ServiceUnavailable: Redis does not answer.
        """
        asking = Deferred.fromCoroutine(self._services(deadline))
        try:
            found = await within(asking, deadline, self._reactor)
        except Late:
            raise ServiceUnavailable(f"Redis did not answer within {deadline:g} s") from None
        services = [_service(*found[place : place + 3]) for place in range(0, len(found) - 2, 3)]
        return sorted(
            (service for service in services if service is not None and service.topic.startswith(prefix)),
            key=lambda service: (service.topic, service.worker),
        )

    async def _services(self, deadline: float) -> list[Any]:
        while True:
            found = await self._link.run(SERVICES, [keys.SERVICES], keys.announced(""), self._keeps, deadline=deadline)
            doubt = self._link.doubtful
            if not doubt:
                return list(found)
            await sleep(doubt, self._reactor)

    async def _run(self) -> None:
        while True:
            await sleep(BEAT, self._reactor)
            if self._announced:
                await gatherResults([Deferred.fromCoroutine(self._announce(one)) for one in self._announced])

    async def _announce(self, one: Announcement) -> None:
        names = [keys.SERVICES, keys.announced(one.name), keys.servers(one.topic)]
        words = _PERIOD, one.name, one.member, one.server, self._keeps
        try:
            await self._link.run(ANNOUNCE, names, *words, deadline=FROZEN)
        except ServiceUnavailable:
            return  # the link says so; the next one comes in a second


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


def said(binary: str, host: str, info: str) -> str:
    """What a service says of itself, as JSON; ``info`` is a JSON object already."""
    return f'{{"binary":{json.dumps(binary)},"host":{json.dumps(host)},"info":{info}}}'
