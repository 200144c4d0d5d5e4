"""Serves a topic: takes requests from its queues, runs each once, and replies to its caller.

A topic has a queue for each role of callers, and one for callers without a role.  If each role has a Redis user of its
own, Redis permits only callers with this role to write to the role's queue.  So the queue proves the caller's role.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.contract.roles import EXPOSED, ROLES, methods_for
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Method
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.messages import MAX_DEADLINE, Request, read_request, write_reply
from novnc_twisted.messaging.redis.queue import Queue
from novnc_twisted.messaging.redis.scripts import REPLY
from novnc_twisted.messaging.waiting import Late, settled, within
from novnc_twisted.messaging.wire import MAX_CONCURRENCY, encode, perform, refused

_log = Logger()

MAX_REPLIES = 10_000
"""Maximum number of replies in the reply queue of a calling process.  Further replies to this process are dropped."""

_LONGEST_CALL = int(1000 * MAX_DEADLINE)  # milliseconds

FINAL_REPLIES = 1.0
"""Seconds for the replies to calls that are cancelled when serving ends."""


class Serving:
    """One topic, served by this process.

    If ``callers`` is given, each role in :data:`.EXPOSED` that may call at least one method has its own connection.  So
    somebody with a stolen credential of this role cannot delay other roles with huge or many messages.  All other
    queues share one connection, but each queue has its own limit of concurrent calls.

    :param connect: makes the link for a :class:`.Queue`, given the purpose of the link.
    :param link: sends the replies.
    :param callers: the roles that may call each method; None: all roles may call all methods.
    :param health: logs requests that are invalid or cannot be answered.
    :param alone: whether no other process serves the topic.
    """

    def __init__(
        self,
        reactor: Any,
        connect: Callable[[str], Link],
        link: CommandLink,
        topic: str,
        methods: Mapping[str, Method],
        callers: Mapping[str, Collection[str]] | None,
        health: Health,
        alone: bool = False,
    ) -> None:
        self._reactor = reactor
        self._link = link
        self._topic = topic
        # A call of a method that the caller's role may not call is logged; a call of an unknown method is not.
        self._known = frozenset(methods)
        self._methods = {role: methods_for(role, methods, callers) for role in ("", *ROLES)}
        self._health = health
        self._alone = alone
        self._roles = {keys.requests(topic, role): role for role in self._methods}
        self._working: set[Deferred[None]] = set()  # requests whose replies have not been sent
        self._running: set[Deferred[str | None]] = set()  # methods that have not ended
        self._stopping = False
        self._queues = [self._queue(connect, roles) for roles in _by_connection(self._methods, callers)]
        self._queue_of = {key: queue for queue in self._queues for key in queue.keys}

    def _queue(self, connect: Callable[[str], Link], roles: Collection[str]) -> Queue:
        role = next(iter(roles)) if len(roles) == 1 else ""
        purpose = f"calls to {self._topic}" + (f" by role {role}" if role else "")
        return Queue(
            self._reactor,
            connect(purpose),
            [keys.requests(self._topic, role) for role in roles],
            self._take,
            slots=MAX_CONCURRENCY,
            alone=self._alone,
            health=self._health,
            purpose=purpose,
        )

    def start(self) -> Deferred[None]:
        """Begin to take requests; fires when the first attempts to connect have succeeded or failed."""
        return gatherResults([queue.start() for queue in self._queues], consumeErrors=True).addCallback(lambda _: None)

    def pause(self, paused: bool) -> None:
        """Take no more requests (True), or take them again (False)."""
        for queue in self._queues:
            queue.pause(paused)

    @property
    def lists(self) -> list[str]:
        """The keys of the topic's queues."""
        return list(self._roles)

    async def close(self, untaken: Sequence[Iterable[Any]] | None, *, grace: float = 0.0) -> None:
        """Take no more requests.

        :param untaken: what :meth:`.Presence.remove` returned.
        :param grace: maximum seconds to wait for requests that Redis is sending.  There is a wait only if ``untaken``
            is None or empty.
        """
        if self._stopping:
            return
        self._stopping = True
        # If ``untaken`` is None or empty, the topic may have another server, now or soon.  So callers must not notice
        # the end of this server: wait for the requests that Redis is sending, so that they are answered.
        wait = grace if not untaken else 0.0
        stops = [Deferred.fromCoroutine(queue.stop(grace=wait, fed=untaken is None)) for queue in self._queues]
        # consumeErrors: if this wait is cancelled, Twisted must not log the CancelledError of each stop.
        await gatherResults(stops, consumeErrors=True)

    async def stop(self, untaken: Sequence[Iterable[Any]] = (), *, grace: float = 0.0) -> None:
        """Take no more requests, cancel the running methods, and answer their callers.

        :param untaken: the remaining requests of each queue, if no other server will take them.  They are refused with
            ServiceUnavailable.
        :param grace: maximum seconds to wait for requests that Redis is sending, and then again for running methods.
            After that, the methods are cancelled.
        """
        await self.close(untaken, grace=grace)
        if grace and self._working:
            await settled(DeferredList(list(self._working)), grace, self._reactor)
        for running in list(self._running):
            # Cancelled after the queues have stopped, so that no new work begins meanwhile.
            running.cancel()
        for role, messages in zip(self._methods, untaken, strict=False):
            for message in messages:
                self._begin(self._answer_untaken(role, message))
        # The replies have to be sent before the connection is closed.
        if self._working:
            await settled(DeferredList(list(self._working)), FINAL_REPLIES, self._reactor)
            for work in list(self._working):
                work.cancel()

    def _take(self, key: str, message: Any) -> None:
        async def work() -> None:
            try:
                await self._work(self._roles[key], message)
            finally:
                self._queue_of[key].release(key)

        self._begin(work())

    def _begin(self, coroutine: Any) -> None:
        work = Deferred.fromCoroutine(coroutine)
        self._working.add(work)

        def done(result: Any) -> None:
            self._working.discard(work)
            if isinstance(result, Failure) and not result.check(CancelledError):
                _log.failure("serving {topic} failed", result, topic=self._topic)

        work.addBoth(done)

    async def _work(self, role: str, message: Any) -> None:
        request = self._read(message)
        if request is None:
            return
        # stop() cancels this Deferred; the reply still gets FINAL_REPLIES seconds.
        running = Deferred.fromCoroutine(self._run(role, request))
        self._running.add(running)
        try:
            answer = await running
        except CancelledError:
            answer = self._cancelled_answer()
        finally:
            self._running.discard(running)
        if answer is not None:
            await self._reply(role, request, answer, FINAL_REPLIES if self._stopping else 5.0)

    async def _run(self, role: str, request: Request) -> str | None:
        """Run a request, and return the answer; None if its caller may have given up."""
        try:
            # Ask Redis for its time, because the estimate of CommandLink.now() may be a round trip behind.  A call must
            # not run after its caller gave up.
            now = await self._link.exact_now()
        except ServiceUnavailable:
            # It is unknown whether the caller still waits, so do not run the call.
            return None
        left = min(request.gives_up - now, _LONGEST_CALL)
        if left <= 0:
            return None
        if request.method in self._known and request.method not in self._methods[role]:
            self._health.complain(
                f"a process with role {role} called {request.method} of {self._topic}, which this role may not "
                "call: refused",
                role,
            )
        # ``role`` comes from the queue, which proves the role.  A role in the request could be forged.
        performing = Deferred.fromCoroutine(
            perform(self._topic, self._methods[role], request.method, request.arguments)
        )
        try:
            return await within(performing, left / 1000, self._reactor)
        except Late:
            return None

    async def _answer_untaken(self, role: str, message: Any) -> None:
        """Refuse a request that this process did not take before it stopped."""
        request = self._read(message)
        if request is not None:
            await self._reply(role, request, self._cancelled_answer(), FINAL_REPLIES)

    def _cancelled_answer(self) -> str:
        """Return the answer for a method that was not run, was cancelled by stop(), or raised CancelledError itself."""
        return encode(refused(ServiceUnavailable(f"{self._topic} " + ("was stopped" if self._stopping else "gave up"))))

    def _read(self, message: Any) -> Request | None:
        try:
            return read_request(message)
        except ValueError as error:
            self._health.complain(f"a request for {self._topic} was dropped: {error}")
            return None

    async def _reply(self, role: str, request: Request, answer: str, deadline: float) -> None:
        try:
            reply = write_reply(request, answer)
            key = keys.replies(request.reply_to, role)
            # The reply to a forged request must not stay in Redis for longer than the longest call.
            gives_up = min(request.gives_up, await self._link.now() + _LONGEST_CALL)
            await self._link.run(REPLY, [key], reply, gives_up, MAX_REPLIES, deadline=deadline)
        except ValueError as error:
            self._health.complain(f"a request for {self._topic} cannot be answered: {error}")
        except ServiceUnavailable as error:
            # The caller gets no answer, and its own deadline ends its wait.
            self._health.complain(f"an answer of {self._topic} was lost: {error.detail}")


def _by_connection(
    methods: Mapping[str, Mapping[str, Method]], callers: Mapping[str, Collection[str]] | None
) -> list[list[str]]:
    """Group the roles by connection.

    With ``callers``, each exposed role that may call a method has its own connection.  All other roles share one.
    """
    apart = [role for role in EXPOSED if methods[role]] if callers is not None else []
    return [*([role] for role in apart), [role for role in methods if role not in apart]]
