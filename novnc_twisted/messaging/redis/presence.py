"""The presence entries of this process, renewed while its services run."""

import contextlib
import random
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import TopicInUse
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.announcement import Announcement
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.exclusive_topics import ExclusiveTopic, conflict, left_by_ended, origin
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import BEAT, FROZEN, PRESENCE
from novnc_twisted.messaging.redis.process_life import life
from novnc_twisted.messaging.redis.running import RETRY
from novnc_twisted.messaging.redis.scripts import ANNOUNCE, SERVICES, WITHDRAW
from novnc_twisted.messaging.waiting import ended, sleep

TOPIC_RETRY = 0.25
"""Seconds between two attempts to get an exclusive topic that another server has."""

KEPT = 30.0
"""Seconds from the last run of the script ``ANNOUNCE`` until the Redis keys of an entry expire.

The entry itself counts as live only for :data:`.PRESENCE` seconds after its last renewal.
"""

PLAIN = 9
"""Number of times that an entry is renewed by plain commands between two runs of the script ``ANNOUNCE``.

Each compute host renews its entry each second, and a run of the script takes several times the CPU of the plain
commands.  The script must run now and then, because only the script renews the expiry of the entry's keys.
"""

_PERIOD = int(PRESENCE * 1000)


class Presence:
    """Renews the presence entries of one process, each second and after each connection to Redis.

    :param removes_expired: whether this process also maintains the list of services: its renewals remove the names of
        services whose entries have expired.  True for consoleauth, and for a process without a role, such as
        ``twistd console``.
    :param health: logs when another process has an exclusive topic of this process.
    """

    def __init__(self, reactor: Any, link: CommandLink, removes_expired: bool, health: Health) -> None:
        self._reactor = reactor
        self._link = link
        self._removes_expired = "1" if removes_expired else ""
        self._health = health
        self._announced: dict[Announcement, ExclusiveTopic] = {}
        # How many times each entry may still be renewed by plain commands before the script must run.
        self._plain: dict[Announcement, int] = {}
        # _origin is the description of this process, and _life its name (Announcement.member()).  Each entry contains
        # the description; an exclusive entry contains the name, too.
        self._origin = self._life = ""
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Begin to renew the entries, with each heartbeat of the connection."""
        self._link.on_beat = self._renew_all
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Stop renewing the entries."""
        running, self._running = self._running, None
        if running is not None:
            await ended(running, self._reactor)

    async def add(self, announcement: Announcement) -> None:
        """Add an entry, and renew it from now on.

        :raises TopicInUse: the entry is exclusive, and another live process has its topic.
        """
        # Before start(), an exclusive topic cannot be claimed yet; the first renewal claims it.
        if self._running is not None and announcement.exclusive:
            await self._wait_for_topic(announcement)
        self._announced[announcement] = ExclusiveTopic(announcement.topic, announcement.owned, self._health)
        if self._running is not None:
            await self._renew(announcement)

    async def remove(self, announcement: Announcement, deadline: float = FROZEN) -> list[Any] | None:
        """Remove an entry from the list of services, so that no more calls are queued for its server.

        :return: one of these:

            * the waiting calls, one list for each queue: this was the last server of the topic.  The calls must be
              answered with an error.
            * an empty list: the entry has no queues, or this was the last server of its topic, but may come back
              (``returns_within``).  In the second case, the calls stay in the queues for the next server, and
              :meth:`leave` must be called later.
            * None: another server takes the calls, Redis does not answer, or this process has no such entry.
        """
        if self._announced.pop(announcement, None) is None:
            return None
        self._plain.pop(announcement, None)
        names = [keys.announced(announcement.name), keys.servers(announcement.topic), *announcement.lists]
        away = int(1000 * announcement.returns_within)
        words = self._member(announcement), announcement.server, away
        try:
            untaken = await self._link.run(WITHDRAW, names, *words, deadline=deadline)
        except ServiceUnavailable:
            return None  # the entry expires by itself
        return None if untaken is None else list(untaken)

    async def leave(self, announcement: Announcement, deadline: float) -> None:
        """Permit the next server to take an exclusive topic.  Call this when this server takes no more calls."""
        with contextlib.suppress(ServiceUnavailable):  # the entry expires by itself
            await self._link.execute("ZREM", keys.servers(announcement.topic), announcement.server, deadline=deadline)

    def renew(self) -> None:
        """Write all entries now.  Called after each connection to Redis, since Redis may have lost the entries."""
        # _origin and _life are set only once: the text of an entry contains them, and must not change.
        self._origin = self._origin or origin(self._link.local_address)
        self._life = self._life or life()
        self._plain.clear()
        self._renew_all()

    async def _run(self) -> None:
        """While Redis does not have the scripts, renew the entries every :data:`.running.RETRY` seconds.

        Renewals with the heartbeats alone would be too rare: the services must see each other soon after the scripts
        are loaded.
        """
        while True:
            waits = self._link.waits_for_scripts
            await sleep(RETRY if waits else BEAT, self._reactor)
            if waits:
                self._renew_all()

    def _renew_all(self) -> None:
        for announcement in list(self._announced):
            Deferred.fromCoroutine(self._renew(announcement))

    async def _wait_for_topic(self, one: Announcement) -> None:
        """Announce the entry as soon as no other process has the topic.

        If Redis does not answer, return without having announced it.

        :raises TopicInUse: another process still has the topic after :data:`.PRESENCE` seconds.  So the other process
            is alive: the entry of a crashed process would have expired.
        """
        waited = 0.0
        try:
            while others := await self._announce(one):
                if waited > PRESENCE:
                    raise TopicInUse(f"Redis {self._conflict(one, others)}")
                await sleep(TOPIC_RETRY, self._reactor)
                waited += TOPIC_RETRY
        except ServiceUnavailable:
            return  # Redis cannot be reached: the next renewal tries again

    async def _renew(self, one: Announcement) -> None:
        try:
            if await self._renew_plainly(one) or one not in self._announced:
                return
            others = await self._announce(one)
        except ServiceUnavailable:
            return  # the link logs the reason; the next attempt follows in a second
        topic = self._announced.get(one)
        if topic is None:  # the entry was removed while Redis was asked
            return
        if others:
            topic.lost(self._conflict(one, others))
        else:
            topic.won()
            # The first number of plain renewals is random, so that services that started together do not run the
            # script together.
            self._plain[one] = PLAIN if one in self._plain else random.randint(0, PLAIN)  # noqa: S311

    async def _renew_plainly(self, one: Announcement) -> bool:
        """Renew an entry by plain commands; return False if this was not possible, and the script must run.

        :raises ServiceUnavailable: Redis does not answer.
        """
        left = self._plain.get(one, 0)
        if not left:
            return False
        self._plain[one] = left - 1
        expires = await self._link.now() + _PERIOD
        # XX: do not add an entry that is missing.  It may have expired, and another server may have the exclusive topic
        # now.  Only the script checks this.
        commands = [
            ("SADD", keys.services(keys.kind_of(one.topic)), one.name),
            ("ZADD", keys.announced(one.name), "XX", "CH", expires, self._member(one)),
            *([("ZADD", keys.servers(one.topic), "XX", "CH", expires, one.server)] if one.server else []),
        ]
        added, *renewed = await self._link.pipeline(commands, deadline=FROZEN)
        # If SADD added the name, or a ZADD changed nothing, the entry has expired or Redis has lost its data.
        if added or not all(renewed):
            self._plain.pop(one, None)
            return False
        return True

    async def _announce(self, one: Announcement) -> list[Any]:
        """Renew a presence entry; if it is exclusive and another server has the topic, return the topic's live entries.

        If all these entries belong to ended processes of this machine, they are removed, and this process takes the
        topic.  So after a process was killed, its successor need not wait until the old entry expires.  The successor
        also takes the calls that wait in the queue.

        :raises ServiceUnavailable: Redis does not answer.
        """
        # Wait for a connection first: when it is made, renew() sets _origin and _life, which are part of the entry.
        await self._link.connected(FROZEN)
        kind = keys.kind_of(one.topic)
        names = [keys.KINDS, keys.services(kind), keys.announced(one.name), keys.servers(one.topic)]
        words = _PERIOD, one.name, self._member(one), one.server, self._removes_expired, "1" if one.exclusive else ""
        announce = partial(self._link.run, ANNOUNCE, names, *words, kind, int(KEPT * 1000), deadline=FROZEN)
        reply = await announce()
        if isinstance(reply, list) and reply and all(map(left_by_ended, reply)):
            for other in reply:
                await self._link.run(WITHDRAW, names[2:], other, other.partition(" ")[0], 0, deadline=FROZEN)
            reply = await announce()
        if not isinstance(reply, list):
            return []  # the entry was renewed
        # The script returns an empty list if the server that has the topic announces another place (the address of a
        # compute host), or if the Redis user of this process may not read the entries.
        return reply or await self._elsewhere(one)

    async def _elsewhere(self, one: Announcement) -> list[Any]:
        """Return the entries of other processes that have the same topic at another place (``TOPIC@PLACE``)."""
        words = keys.announced(""), "", f"{one.topic}@", keys.kind_of(one.topic)
        try:
            found = await self._link.run(SERVICES, [keys.KINDS], *words, deadline=FROZEN)
        except ServiceUnavailable:
            found = []
        # The script ``ANNOUNCE`` has just found another server.  So never return an empty list: it would mean that the
        # topic is free.
        return found[1::3] or [""]

    def _member(self, one: Announcement) -> str:
        return one.member(self._origin, self._life)

    def _conflict(self, one: Announcement, others: list[Any]) -> str:
        return conflict(one.topic, one.host, self._origin, others)
