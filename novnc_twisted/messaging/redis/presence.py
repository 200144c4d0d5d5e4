"""Presence entries: those that this process renews, and those of the other services."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Service, TopicInUse
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.exclusive_topics import ExclusiveTopic, conflict, origin
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import BEAT, FROZEN, PRESENCE
from novnc_twisted.messaging.redis.running import RETRY
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES, WITHDRAW
from novnc_twisted.messaging.waiting import Late, ended, sleep, within
from novnc_twisted.messaging.wire import check_topic, decode

TOPIC_RETRY = 0.25
"""Seconds between two attempts to get an exclusive topic that another server has."""

_PERIOD = int(PRESENCE * 1000)


@dataclass(frozen=True, slots=True, eq=False)
class Announcement:
    """One presence entry of this process.

    :ivar info: a JSON object to announce.
    :ivar lists: the keys of the queues that it serves; empty if it serves nothing.
    :ivar exclusive: whether it must be the only server of its topic.
    :ivar owned: if it is exclusive, called with each change of whether it may serve the topic.
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
        """The name in the set of all topics, ``TOPIC@PLACE``."""
        return f"{self.topic}@{self.place}"

    @property
    def server(self) -> str:
        """Its name in the set of its topic's servers; empty if it serves nothing."""
        return self.worker if self.lists else ""

    def member(self, origin: str) -> str:
        """Return the entry as text: its worker, a space, and a JSON object.

        :param origin: a description of this process for people.
        """
        # Built by hand with the fields in this order: the entry is removed by its exact text.
        names = f'"binary":{json.dumps(self.binary)},"host":{json.dumps(self.host)},"from":{json.dumps(origin)}'
        return f'{self.worker} {{{names},"info":{self.info}}}'


class Presence:
    """The presence entries of one process, renewed each second and as soon as Redis is back.

    :param keeps: whether this process removes expired entries of others.
    :param health: notified when another process has an exclusive topic of this one.
    """

    def __init__(self, reactor: Any, link: CommandLink, keeps: bool, health: Health) -> None:
        self._reactor = reactor
        self._link = link
        self._keeps = "1" if keeps else ""
        self._health = health
        self._announced: dict[Announcement, ExclusiveTopic] = {}
        self._origin = ""
        self._running: Deferred[None] | None = None
        self._looking: set[Deferred[list[Any]]] = set()
        self._stopped = False

    def start(self) -> None:
        """Begin to renew the entries."""
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Stop renewing the entries, and fail the look-ups that wait."""
        self._stopped = True
        for looking in list(self._looking):
            # Look-ups may wait for the end of a grace period, which can be longer than the stop may take.
            looking.cancel()
        running, self._running = self._running, None
        if running is not None:
            await ended(running, self._reactor)

    async def add(self, announcement: Announcement) -> None:
        """Add an entry, and renew it from now on.

        :raises TopicInUse: it is exclusive, and another live process has its topic.
        """
        # Before the start no topic can be claimed; the first renewal claims it.
        if self._running is not None and announcement.exclusive:
            await self._wait_for_topic(announcement)
        self._announced[announcement] = ExclusiveTopic(announcement.topic, announcement.owned, self._health)
        if self._running is not None:
            await self._renew(announcement)

    async def remove(self, announcement: Announcement, deadline: float = FROZEN) -> list[Any]:
        """Remove an entry; return, for each of its queues, the requests that no other server will take."""
        if self._announced.pop(announcement, None) is None:
            return []
        names = [keys.announced(announcement.name), keys.servers(announcement.topic), *announcement.lists]
        words = announcement.member(self._origin), announcement.server
        try:
            return list(await self._link.run(WITHDRAW, names, *words, deadline=deadline))
        except ServiceUnavailable:
            return []  # it expires

    def renew(self) -> None:
        """Renew all entries at once: Redis is back, and may have lost them."""
        # Set only once: entries are removed by their text, which contains this origin.
        self._origin = self._origin or origin(self._link.local_address)
        for announcement in list(self._announced):
            Deferred.fromCoroutine(self._renew(announcement))

    async def services(self, prefix: str, deadline: float) -> list[Service]:
        """Return the live services whose topic begins with ``prefix``.

        :raises ServiceUnavailable: Redis does not answer, or this is stopped.
        """
        looking = Deferred.fromCoroutine(self._services(prefix, deadline))
        self._looking.add(looking)
        try:
            found = await within(looking, deadline, self._reactor)
        except Late:
            raise ServiceUnavailable(f"Redis did not answer within {deadline:g} s") from None
        except CancelledError:
            if self._stopped:
                raise ServiceUnavailable("the transport was stopped") from None
            raise
        finally:
            self._looking.discard(looking)
        services = [read_service(*found[place : place + 3]) for place in range(0, len(found) - 2, 3)]
        return sorted(
            (service for service in services if service is not None and service.topic.startswith(prefix)),
            key=lambda service: (service.topic, service.worker),
        )

    async def _services(self, prefix: str, deadline: float) -> list[Any]:
        while True:
            words = keys.announced(""), self._keeps, prefix
            found = await self._link.run(SERVICES, [keys.SERVICES], *words, deadline=deadline)
            # Read after the answer: a stall during the command begins a grace period.
            grace = self._link.grace_period
            if not grace:
                return list(found)
            await sleep(grace, self._reactor)

    async def _run(self) -> None:
        while True:
            # Services that start together must find one another as soon as Redis has the scripts.
            await sleep(RETRY if self._link.waits_for_scripts else BEAT, self._reactor)
            if self._announced:
                renewals = [Deferred.fromCoroutine(self._renew(one)) for one in list(self._announced)]
                await gatherResults(renewals, consumeErrors=True)

    async def _wait_for_topic(self, one: Announcement) -> None:
        """Wait until no other process has the topic.

        :raises TopicInUse: another process still has it after the entry of a crashed process would have expired.
        """
        waited = 0.0
        try:
            while others := await self._announce(one):
                if waited > PRESENCE:
                    raise TopicInUse(f"Redis {self._conflict(one, others)}")
                await sleep(TOPIC_RETRY, self._reactor)
                waited += TOPIC_RETRY
        except ServiceUnavailable:
            return  # Redis can't be reached: the next renewal tries again

    async def _renew(self, one: Announcement) -> None:
        try:
            others = await self._announce(one)
        except ServiceUnavailable:
            return  # the link logs it; the next attempt follows in a second
        # The entry may have been removed while Redis was asked.
        exclusive = self._announced.get(one)
        if exclusive is None:
            return
        if others:
            exclusive.lost(self._conflict(one, others))
        else:
            exclusive.won()

    async def _announce(self, one: Announcement) -> list[Any]:
        """Renew a presence entry; if other processes have its exclusive topic, return their entries instead.

        :raises ServiceUnavailable: Redis does not answer.
        """
        names = [keys.SERVICES, keys.announced(one.name), keys.servers(one.topic)]
        words = _PERIOD, one.name, one.member(self._origin), one.server, self._keeps, "1" if one.exclusive else ""
        reply = await self._link.run(ANNOUNCE, names, *words, deadline=FROZEN)
        return (reply or await self._elsewhere(one)) if isinstance(reply, list) else []

    async def _elsewhere(self, one: Announcement) -> list[Any]:
        """Return the entries of other processes that have a topic at another address."""
        words = keys.announced(""), "", f"{one.topic}@"
        try:
            found = await self._link.run(SERVICES, [keys.SERVICES], *words, deadline=FROZEN)
        except ServiceUnavailable:
            found = []
        # Not empty: the script said that there is another server, even if its entry is gone by now.
        return found[1::3] or [""]

    def _conflict(self, one: Announcement, others: list[Any]) -> str:
        return conflict(one.topic, one.host, self._origin, others)


def read_service(name: Any, member: Any, score: Any) -> Service | None:
    """Read an announcement as Redis returns it; None if it is not one."""
    try:
        worker, text = member.split(" ", 1)
        topic, _, place = name.rpartition("@")
        check_topic(topic)
        entry = decode(text)
        binary, host, info = entry["binary"], entry["host"], entry["info"]
        expires_at = float(score) / 1000
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not (isinstance(binary, str) and isinstance(host, str) and isinstance(info, dict)):
        return None
    return Service(topic, worker, binary, host, expires_at - PRESENCE, info, place)
