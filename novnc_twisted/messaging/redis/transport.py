"""The transport for ``redis://``, ``rediss://``, ``redis+unix://`` and ``redis+sentinel://``."""

from __future__ import annotations  # otherwise each call would evaluate the annotations of inner functions

import secrets
from collections.abc import Callable, Collection, Mapping
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, execute, gatherResults
from twisted.python.failure import Failure
from zope.interface import implementer

from novnc_twisted.contract.roles import CONSOLEAUTH, check_role
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.fanout import broadcast
from novnc_twisted.messaging.interfaces import Answer, IKeyedStore, ITransport, Method, Service, TopicInUse
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.announcement import Announcement
from novnc_twisted.messaging.redis.calls import Calls
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.endpoint import endpoint_of
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.heartbeat import FROZEN, milliseconds
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.presence import Presence
from novnc_twisted.messaging.redis.queue import BLOCK, MAX_PENDING
from novnc_twisted.messaging.redis.running import Scripts
from novnc_twisted.messaging.redis.scripts import AWAY
from novnc_twisted.messaging.redis.service_list import ServiceList
from novnc_twisted.messaging.redis.serving import FINAL_REPLIES, Serving
from novnc_twisted.messaging.redis.store import DEADLINE, RedisStore
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.wire import check_place, check_topic, encode_object

LONGEST_ENTRY = 10_000
"""Maximum lifetime of a presence entry in milliseconds.

Pings and the Lua scripts ignore an entry that would live longer, so that a stolen credential cannot add a permanent
entry.
"""

GRACE = BLOCK + 0.5
"""Maximum number of seconds for which a service that withdraws waits for its pending BLPOP.

After that, the service waits for the calls that are running, at most for the same time again.
"""


@implementer(ITransport)
class RedisTransport:
    """An ITransport over one Redis (or Valkey) of version 7.0 or newer.

    The transport has two connections: one for commands and one for replies.  Each served topic adds one connection.  If
    the topic is served with ``callers``, each exposed role (``compute`` and ``proxy``) that may call the topic adds one
    more.  If this process has the role ``compute``, the connection for replies is made at the first call, because most
    compute hosts never call.

    :param reactor: the reactor.
    :param address: where Redis is.
    :param role: the role of this process; empty: it has no role, and may do everything.
    :ivar link: the connection for commands.
    :ivar calls: the calls of this process.
    :raises ValueError: a file that the address names cannot be used, ``server_name`` is invalid, or the role is
        unknown.
    """

    def __init__(self, reactor: Any, address: RedisURL, role: str = "") -> None:
        # Only consoleauth and processes without a role have the rights to clean up the keys that all services share.
        keeps = check_role(role) in ("", CONSOLEAUTH)
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint_of(reactor, address)
        # Not the name that Calls gets below: see _next_worker.
        self._worker = secrets.token_hex(6)
        self._workers = count(1)
        self._state = "new"
        self._health = Health(reactor, address.label)
        # Without a user name, this process is Redis' default user, which usually has the right to load scripts.
        scripts = Scripts(reactor, keeps or address.username is None, self._health)
        self.link = CommandLink(
            reactor,
            self._endpoint,
            address,
            self._health,
            "commands",
            scripts=scripts,
            asks_policy=keeps,
            on_up=self._is_up,
        )
        self._presence = Presence(reactor, self.link, keeps, self._health)
        self._services = ServiceList(reactor, self.link, keeps)
        self.calls = Calls(reactor, self._connect, self.link, secrets.token_hex(16), role, self._health)
        self._served: dict[Announcement, Serving | None] = {}
        # The store's ``keeps`` is not the ``keeps`` above: it is the right to set the expiry of groups.  Compute hosts
        # do not have this right.
        self.store: IKeyedStore = RedisStore(self.link, keeps=role != "compute")

    def _connect(self, purpose: str) -> Link:
        """Make the link for a :class:`.Queue`."""
        return Link(
            self._reactor,
            self._endpoint,
            self._address,
            self._health,
            purpose,
            after=self.link,
            max_pending=MAX_PENDING,
        )

    def start(self) -> Deferred[None]:
        """See ITransport."""
        if self._state != "new":
            return execute(_misused, f"the transport is {self._state}")
        self._state = "started"
        self._presence.start()
        firsts = [self.link.start(), self.calls.start()]
        firsts += [serving.start() for serving in self._served.values() if serving is not None]
        return gatherResults(firsts, consumeErrors=True).addCallback(lambda _: None)

    def stop(self) -> Deferred[None]:
        """See ITransport."""
        if self._state == "stopped":
            return execute(lambda: None)
        started, self._state = self._state == "started", "stopped"
        return Deferred.fromCoroutine(self._stop(started))

    async def _stop(self, started: bool) -> None:
        if started:
            withdrawn = [Deferred.fromCoroutine(self._withdraw(one, FINAL_REPLIES)) for one in list(self._served)]
            await DeferredList(withdrawn)
        # The withdrawal needs these connections, so they are stopped after it.
        await self.calls.stop()
        self._services.stop()
        await self._presence.stop()
        self._health.stop()
        await self.link.stop()

    def ping(self, topic: str = "", *, deadline: float = 2.0) -> Deferred[None]:
        """See ITransport."""

        async def ping() -> None:
            self._needs_start()
            until = self._reactor.seconds() + deadline
            # Send a command, because a hanging Redis is still connected.
            now = milliseconds(await self.link.execute("TIME", deadline=deadline))
            if not topic:
                return
            # Look for servers, and for the worker ``~``, which stands for a server that is being restarted.  The score
            # of each worker is the time when it expires; to the score of ``~``, AWAY is added.
            servers = keys.servers(check_topic(topic))
            counts = [("ZCOUNT", servers, f"({first}", first + LONGEST_ENTRY) for first in (now, now + AWAY)]
            if not any(await self.link.pipeline(counts, deadline=until - self._reactor.seconds())):
                raise ServiceUnavailable(f"nobody serves {topic}")

        return Deferred.fromCoroutine(ping())

    def call(self, topic: str, method: str, /, *, deadline: float = 5.0, **arguments: Any) -> Deferred[Any]:
        """See ITransport; TypeError or ValueError if the topic or the arguments are unusable (:meth:`.Calls.call`)."""
        try:
            self._needs_start()
            return self.calls.call(topic, method, deadline, arguments)
        except (ServiceUnavailable, TypeError, ValueError) as error:
            failed: Deferred[Any] = Deferred()
            failed.errback(Failure(error))
            return failed

    def broadcast(
        self, prefix: str, method: str, /, *, deadline: float = 5.0, **arguments: Any
    ) -> Deferred[list[Answer]]:
        """See ITransport."""
        return Deferred.fromCoroutine(broadcast(self, self._reactor, prefix, method, deadline, arguments))

    def serve(
        self,
        topic: str,
        methods: Mapping[str, Method],
        *,
        binary: str,
        host: str,
        info: Mapping[str, Any] | None = None,
        callers: Mapping[str, Collection[str]] | None = None,
        place: str = "",
        exclusive: bool = False,
        returns_within: float = 0.0,
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport; may be called before the start, too."""

        async def serve() -> Callable[[], Deferred[None]]:
            serving = Serving(
                self._reactor,
                self._connect,
                self.link,
                check_topic(topic),
                dict(methods),
                callers,
                self._health,
                alone=exclusive,
            )
            # An exclusive topic is not served before this process has claimed it.
            serving.pause(exclusive)
            one = Announcement(
                topic=topic,
                worker=self._next_worker(),
                binary=binary,
                host=host,
                info=encode_object(info or {}),
                lists=tuple(serving.lists),
                place=check_place(place),
                exclusive=exclusive,
                owned=lambda owned: serving.pause(not owned),
                returns_within=returns_within,
            )
            return await self._add(one, serving)

        return Deferred.fromCoroutine(serve())

    def announce(
        self, topic: str, *, binary: str, host: str, info: Mapping[str, Any] | None = None
    ) -> Deferred[Callable[[], Deferred[None]]]:
        """See ITransport; may be called before the start, too."""

        async def announce() -> Callable[[], Deferred[None]]:
            announced = encode_object(info or {})
            return await self._add(Announcement(check_topic(topic), self._next_worker(), binary, host, announced), None)

        return Deferred.fromCoroutine(announce())

    def services(self, prefix: str = "") -> Deferred[list[Service]]:
        """See ITransport."""

        async def services() -> list[Service]:
            self._needs_start()
            return await self._services.find(prefix, DEADLINE)

        return Deferred.fromCoroutine(services())

    async def _add(self, one: Announcement, serving: Serving | None) -> Callable[[], Deferred[None]]:
        if self._state == "stopped":
            raise ServiceUnavailable("the transport is stopped")
        # Store the entry before the first wait, so that a stop() during the wait finds and withdraws the entry.
        self._served[one] = serving
        try:
            if self._state == "started" and serving is not None:
                await serving.start()
            # The transport may have been stopped while the queues were connecting.
            if self._state != "stopped":
                await self._presence.add(one)
        except TopicInUse:
            await self._withdraw(one, FROZEN)
            raise
        return lambda: Deferred.fromCoroutine(self._withdraw(one, FROZEN, grace=GRACE))

    def _next_worker(self) -> str:
        """Return a new name for a server.

        Other services can read this name in the list of services.  So it must not contain the name under which this
        process makes calls (:class:`.Calls`): only the called services may learn that name.
        """
        return f"{self._worker}-{next(self._workers)}"

    async def _withdraw(self, one: Announcement, deadline: float, *, grace: float = 0.0) -> None:
        if one not in self._served:
            return
        serving = self._served.pop(one)
        # Remove the entry first, so that no more calls are queued; then answer the calls that are left in the queues.
        untaken = await self._presence.remove(one, deadline)
        if serving is not None:
            await serving.close(untaken, grace=grace)
            # An empty list: the calls stay in the queues for the next server of the topic.  After close(), this server
            # takes no more calls, so let the next server have the topic.
            if untaken == []:
                await self._presence.leave(one, deadline)
            await serving.stop(untaken or (), grace=grace)

    def _needs_start(self) -> None:
        if self._state != "started":
            raise ServiceUnavailable(f"the transport {'is not started' if self._state == 'new' else 'was stopped'}")

    def _is_up(self) -> None:
        self._presence.renew()


def _misused(what: str) -> None:
    raise RuntimeError(what)
