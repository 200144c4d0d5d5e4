"""Check passwords against bcrypt hashes: in threads, few at a time, and equally slow for unknown users."""

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import bcrypt
from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from novnc_twisted.identity.users import User

CONCURRENT = 4
"""Comparisons at a time; each holds a thread of the reactor's pool, which has ten, for 50 to 400 ms."""

MAX_WAITING = 100
"""Comparisons that run or wait; a further one is refused."""

REMEMBERED = 60.0
"""Seconds for which a correct password is not compared again: one client command makes four requests."""

_MAX_REMEMBERED = 1000
_BCRYPT_BYTES = 72


class TooManyLogIns(Exception):
    """:data:`MAX_WAITING` passwords wait to be compared; this one was not looked at."""


class Passwords:
    """Checks passwords.

    Requests that bring the same name and password at the same time share one comparison.  Each of them still counts
    as one log-in, and wrong passwords are not remembered, so guessing does not become cheaper.

    :param reactor: gives the time and has the thread pool.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._slots = DeferredSemaphore(CONCURRENT)
        self._pending = 0
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, float] = {}
        self._comparisons: dict[bytes, _Comparison] = {}

    async def check(
        self,
        users: Mapping[str, User],
        name: str,
        password: str,
        *,
        begin: Callable[[], None] = lambda: None,
        over: Callable[[bool], None] = lambda right: None,
    ) -> User | None:
        """Return the user whose name and password these are, else None.

        :param begin: called when it is this check's turn; what it raises is raised here, and the check does not count.
        :param over: called with whether they are correct, even if the request was cancelled in the meantime.
        :raises TooManyLogIns: too many passwords wait to be compared.
        """
        user = users.get(name)
        # bcrypt reads 72 bytes and no NUL; htpasswd -B truncates passwords in the same way.
        given = password.encode("utf-8", "surrogatepass")
        usable = b"\x00" not in given
        tried = (user or self._substitute(users, name)).password_hash.encode()
        memory = self._digest(tried, given)
        if user is not None and self._good.get(memory, 0.0) > self._reactor.seconds():
            over(True)
            return user
        key = self._digest(memory, name.encode("utf-8", "surrogatepass"))
        running = self._comparisons.get(key)
        if running is None and self._pending >= MAX_WAITING:
            raise TooManyLogIns
        comparison = running or _Comparison()
        result = comparison.join(begin, lambda equal: over(equal and usable and user is not None))
        if running is None:
            self._start(key, comparison, given[:_BCRYPT_BYTES] if usable else b"", tried)
        equal = await result
        if not equal or not usable or user is None:
            return None
        while len(self._good) >= _MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[memory] = self._reactor.seconds() + REMEMBERED
        return user

    def _substitute(self, users: Mapping[str, User], name: str) -> User:
        """Return the user whose hash an unknown name is compared with: always the same, so the time reveals nothing."""
        digest = self._digest(b"substitute", name.encode("utf-8", "surrogatepass"))
        return list(users.values())[int.from_bytes(digest[:8]) % len(users)]

    def _digest(self, first: bytes, second: bytes) -> bytes:
        return hmac.digest(self._key, len(first).to_bytes(8) + first + second, hashlib.sha256)

    def _start(self, key: bytes, comparison: "_Comparison", password: bytes, password_hash: bytes) -> None:
        """Run a comparison as soon as a slot is free."""
        self._pending += 1
        self._comparisons[key] = comparison

        def finish(equal: Any) -> None:
            # The slot is released after this: each result is counted before the next comparison's turn.
            self._pending -= 1
            del self._comparisons[key]
            comparison.finish(equal)

        def turn() -> Deferred[None]:
            comparing: Deferred[Any] = succeed(False)
            if comparison.begins():
                pool = self._reactor.getThreadPool()
                comparing = deferToThreadPool(self._reactor, pool, _matches, password, password_hash)
            return comparing.addBoth(finish)

        self._slots.run(turn)


class _Comparison:
    """One comparison and the checks that wait for its result."""

    def __init__(self) -> None:
        self._waiters: deque[_Waiter] = deque()

    def join(self, begin: Callable[[], None], over: Callable[[bool], None]) -> Deferred[bool]:
        """Wait for the result; see :meth:`Passwords.check` for the arguments."""
        # When a client leaves, only its own wait is cancelled: the thread cannot be interrupted.
        waiter = _Waiter(begin, over, Deferred())
        self._waiters.append(waiter)
        return waiter.result

    def begins(self) -> bool:
        """Whether a check is left for which the comparison may run; the checks before it were refused."""
        while self._waiters and not self._waiters[0].begins():
            self._waiters.popleft()
        return bool(self._waiters)

    def finish(self, equal: Any) -> None:
        """Give the result, or a Failure, to all checks, as if they had run one after another."""
        if isinstance(equal, Failure):
            for waiter in self._waiters:
                waiter.result.errback(equal)
            return
        for index, waiter in enumerate(self._waiters):
            # The results before this one may have locked the user out.
            if index == 0 or waiter.begins():
                waiter.over(equal)
                waiter.result.callback(equal)


class _Waiter(NamedTuple):
    """A check that waits for a comparison."""

    begin: Callable[[], None]
    over: Callable[[bool], None]
    result: Deferred[bool]

    def begins(self) -> bool:
        """Whether the check may run; if not, its result is what ``begin`` raised."""
        try:
            self.begin()
        except Exception:
            self.result.errback()
            return False
        return True


def _matches(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, password_hash)
    except ValueError:
        return False
