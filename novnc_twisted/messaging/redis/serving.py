"""Serving: requests from a topic's list, each worked on once and answered to its caller alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import Method
from novnc_twisted.messaging.redis.link import Link
from novnc_twisted.messaging.redis.messages import MAX_DEADLINE, Request, read_request, write_reply
from novnc_twisted.messaging.redis.queue import Queue
from novnc_twisted.messaging.redis.scripts import PREFIX, REPLY
from novnc_twisted.messaging.redis.waiting import Late, within
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.wire import MAX_CONCURRENCY, encode, perform, refused

_log = Logger()

MAX_REPLIES = 10_000
"""Replies that may wait for one process."""

LAST_WORDS = 1.0
"""Seconds for the answers to calls that are given up when serving ends."""


class Serving:
    """One topic, served by this process.

    :param link: where answers go.
    :param complain: called with a short text where a message is no request, or can't be answered.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        address: RedisURL,
        link: Link,
        topic: str,
        methods: Mapping[str, Method],
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._link = link
        self._topic = topic
        self._methods = methods
        self._complain = complain
        self._slots = DeferredSemaphore(MAX_CONCURRENCY)
        self._working: set[Deferred[None]] = set()
        self._stopping = False
        self._requests = Queue(
            reactor, endpoint, address, f"{PREFIX}q:{topic}", self._take, slots=self._slots, complain=complain
        )

    def start(self) -> Deferred[None]:
        """Begin to take requests; fires once the first attempt to connect has succeeded or failed."""
        return self._requests.start()

    async def stop(self, untaken: Iterable[Any] = ()) -> None:
        """Take no more, give up what is worked on, and tell its callers; those of ``untaken`` requests, too."""
        self._stopping = True
        await self._requests.stop()
        for work in list(self._working):
            work.cancel()
        for message in untaken:
            self._begin(self._give_up(message))
        if self._working:
            await DeferredList(list(self._working))

    def _take(self, message: Any) -> None:
        async def work() -> None:
            try:
                await self._work(message)
            finally:
                self._slots.release()

        self._begin(work())

    def _begin(self, coroutine: Any) -> None:
        work = Deferred.fromCoroutine(coroutine)
        self._working.add(work)

        def done(result: Any) -> None:
            self._working.discard(work)
            if isinstance(result, Failure) and not result.check(CancelledError):
                _log.failure("serving {topic} failed", result, topic=self._topic)

        work.addBoth(done)

    async def _work(self, message: Any) -> None:
        request = self._read(message)
        if request is None:
            return
        try:
            try:
                left = request.gives_up - await self._link.exact_now()
            except ServiceUnavailable:
                # Whether its caller still waits can't be known: better not run it than run it too late.
                return
            if left <= 0:
                return
            performing = Deferred.fromCoroutine(perform(self._topic, self._methods, request.method, request.arguments))
            answer = await within(performing, min(left / 1000, MAX_DEADLINE), self._reactor)
        except Late:
            return
        except CancelledError:
            answer = self._gave_up()
        await self._reply(request, answer, LAST_WORDS if self._stopping else 5.0)

    async def _give_up(self, message: Any) -> None:
        request = self._read(message)
        if request is not None:
            await self._reply(request, self._gave_up(), LAST_WORDS)

    def _gave_up(self) -> str:
        return encode(refused(ServiceUnavailable(f"{self._topic} " + ("was stopped" if self._stopping else "gave up"))))

    def _read(self, message: Any) -> Request | None:
        try:
            return read_request(message)
        except ValueError as error:
            self._complain(f"a request for {self._topic} was dropped: {error}")
            return None

    async def _reply(self, request: Request, answer: str, deadline: float) -> None:
        try:
            reply = write_reply(request, answer)
            keys = [f"{PREFIX}r:{request.reply_to}"]
            await self._link.run(REPLY, keys, reply, request.gives_up, MAX_REPLIES, deadline=deadline)
        except ValueError as error:
            self._complain(f"a request for {self._topic} can't be answered: {error}")
        except ServiceUnavailable as error:
            # Its caller learns it by its own deadline.
            self._complain(f"an answer of {self._topic} was lost: {error.detail}")
