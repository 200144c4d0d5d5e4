"""Makes calls: puts requests into the queue of a topic, and takes the replies from the queue of this process."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from novnc_twisted.contract.roles import COMPUTE
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.redis import keys
from novnc_twisted.messaging.redis.command_link import CommandLink
from novnc_twisted.messaging.redis.health import Health
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.messages import MAX_DEADLINE, Request, read_reply
from novnc_twisted.messaging.redis.queue import Queue
from novnc_twisted.messaging.redis.scripts import QUEUE
from novnc_twisted.messaging.redis.sealing import Opener
from novnc_twisted.messaging.waiting import sleep
from novnc_twisted.messaging.wire import check_topic, outcome

MAX_WAITING = 1000
"""Maximum number of calls that wait in one queue."""

RETRY = 0.1
"""Seconds between two attempts to queue a call while the topic's server is restarting, or may still be reconnecting."""

_FAR_FUTURE = 9_999_999_999_999
"""A time in milliseconds since 1970 with as many digits as each time until the year 2286.

A request with this time has its final length, so the length can be checked before Redis' time is known.
"""

_REFUSED = {
    "late": "Redis got the call for {} too late",
    "nobody": "nobody serves {}",
    "full": "too many calls wait for {}",
}
"""Answer of the script ``QUEUE`` -> the reason for the caller; ``{}`` stands for the topic."""


class Calls:
    """The calls of one process.

    :param connect: makes the link for a :class:`.Queue`, given the purpose of the link.
    :param link: the connection on which requests are put into queues.
    :param process: this process' name on the bus: 32 random hex digits that only the called services learn.
    :param role: the role of this process.
    :param health: logs invalid replies.
    """

    def __init__(
        self,
        reactor: Any,
        connect: Callable[[str], Link],
        link: CommandLink,
        process: str,
        role: str,
        health: Health,
    ) -> None:
        self._reactor = reactor
        self._link = link
        self.process = process
        self._role = role
        self._health = health
        self._opener = Opener()
        self._pending: dict[str, _Pending] = {}
        lists = [keys.replies(process, role)]
        purpose = "replies"
        self._replies = Queue(
            reactor, connect(purpose), lists, self._answered, alone=True, health=health, purpose=purpose
        )
        # A compute host calls only when a domain has vanished.  So it connects for replies at its first call, which
        # saves Redis thousands of connections.
        self._connects_late = role == COMPUTE
        self._started = False  # whether this process takes replies

    @property
    def pending(self) -> list[str]:
        """The ids of the calls that wait for a reply."""
        return list(self._pending)

    @property
    def public_key(self) -> str:
        """The key with which services seal their replies to this process."""
        return self._opener.public_key

    def start(self) -> Deferred[None]:
        """Begin to take replies; a compute host begins at its first call instead."""
        return succeed(None) if self._connects_late else self._begin()

    def _begin(self) -> Deferred[None]:
        self._started = True
        return self._replies.start()

    async def stop(self) -> None:
        """Fail the pending calls, and take no more replies."""
        for pending in list(self._pending.values()):
            if not pending.result.called:  # the failure of one call may make its caller cancel another one
                pending.fail(ServiceUnavailable("the transport was stopped"))
        if self._started:
            await self._replies.stop()

    def call(self, topic: str, method: str, deadline: float, arguments: dict[str, Any]) -> Deferred[Any]:
        """See ITransport.

        :raises TypeError: the arguments cannot be converted to JSON.
        :raises ValueError: the topic is invalid, or the request is too long.
        :raises ServiceUnavailable: the deadline is not more than 0, or is longer than MAX_DEADLINE.
        """
        check_topic(topic)
        call_id = secrets.token_hex(16)
        request = Request(call_id, self.process, self._opener.public_key, _FAR_FUTURE, method, arguments)
        # Unusable arguments are the caller's error: raise it now, before anything is queued.
        request.encode()
        if not 0 < deadline <= MAX_DEADLINE:
            raise ServiceUnavailable(
                f"the deadline must be more than 0 and at most {MAX_DEADLINE:g} s, not {deadline:g} s"
            )
        if not self._started and self._connects_late:
            self._begin()
        pending = _Pending(self._reactor, topic, deadline, lambda: self._pending.pop(call_id, None))
        # Stored before the call is queued: the reply may come before the queuing script has answered.
        self._pending[call_id] = pending
        pending.queue(self._queue(request, topic, self._reactor.seconds() + deadline))
        return pending.result

    async def _queue(self, request: Request, topic: str, until: float) -> None:
        """Put a call into the topic's queue; try again while the topic's server may come back."""
        names = [keys.servers(topic), keys.requests(topic, self._role)]
        while True:
            # A frozen Redis may run the script late.  Because of ``gives_up``, the script does not queue the call if
            # its caller has given up by then.
            gives_up = await self._link.now() + int((until - self._reactor.seconds()) * 1000)
            text = replace(request, gives_up=gives_up).encode()
            left = until - self._reactor.seconds()
            answer = await self._link.run(QUEUE, names, text, gives_up, MAX_WAITING, deadline=left)
            if answer == "queued":
                return
            # In the grace period, some seconds after an outage of Redis, a missing server may still be reconnecting.
            comes_back = answer == "away" or (answer == "nobody" and self._link.grace_period > 0)
            if not comes_back:
                raise ServiceUnavailable(_REFUSED.get(answer, "Redis does not queue calls for {}").format(topic))
            await sleep(RETRY, self._reactor)

    def _answered(self, _key: str, message: Any) -> None:
        try:
            call_id, answer = read_reply(message, self._opener)
            pending = self._pending.get(call_id)
            # None: the reply came too late, and its caller has given up.
            if pending is not None:
                pending.answer(answer)
        except ValueError as error:
            self._health.complain(f"a reply was dropped: {error}")


class _Pending:
    """One call that waits for its reply."""

    def __init__(self, reactor: Any, topic: str, deadline: float, forget: Callable[[], object]) -> None:
        self.result: Deferred[Any] = Deferred(lambda _: self._end())
        self._forget = forget
        self._queuing: Deferred[None] | None = None
        late = ServiceUnavailable(f"{topic} did not answer within {deadline:.3g} s")
        self._timer = reactor.callLater(deadline, self.fail, late)

    def queue(self, queuing: Any) -> None:
        """Begin to put the call into the queue; if that fails, the call fails."""
        self._queuing = Deferred.fromCoroutine(queuing)
        self._queuing.addErrback(self._not_queued)

    def answer(self, text: str) -> None:
        """Fire ``result`` with the result or refusal in a reply.

        :raises ValueError: the reply is invalid; the call keeps waiting.
        """
        try:
            result = outcome(text)
        except Refusal as refusal:
            self.fail(refusal)
            return
        self._end()
        self.result.callback(result)

    def fail(self, refusal: Refusal | Failure) -> None:
        """Fail the call."""
        self._end()
        self.result.errback(refusal)

    def _not_queued(self, failure: Failure) -> None:
        if not failure.check(CancelledError) and not self.result.called:
            self.fail(failure)

    def _end(self) -> None:
        self._forget()
        if self._timer.active():
            self._timer.cancel()
        if self._queuing is not None:
            self._queuing.cancel()
