"""Passwords against bcrypt hashes: in threads, few at a time, and equally slow for users that there are not."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import bcrypt
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool

from novnc_twisted.api.caller import User
from novnc_twisted.api.faults import Fault

CONCURRENT = 4
"""Checks at a time; each holds a thread of the reactor's pool, which has ten, for 50 to 400 ms."""

MAX_WAITING = 100
"""Checks that wait; one more is told to come back."""

REMEMBERED = 60.0
"""Seconds for which a password that was right needs no check: one client command makes four requests."""

_MAX_REMEMBERED = 1000
_BCRYPT_BYTES = 72


class Passwords:
    """Checks them.

    :param reactor: tells the time and has the thread pool.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._slots = DeferredSemaphore(CONCURRENT)
        self._pending = 0
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, float] = {}

    async def check(
        self,
        users: Mapping[str, User],
        name: str,
        password: str,
        *,
        begin: Callable[[], None] = lambda: None,
        over: Callable[[bool], None] = lambda right: None,
    ) -> User | None:
        """The user whose name and password these are, else None.

        :param begin: called when it is this check's turn; what it raises is raised here, and nothing was checked.
        :param over: told whether they are right, also where nobody waits for the answer any more.
        :raises Fault: 503, where too many wait to be checked.
        """
        user = users.get(name)
        # bcrypt reads 72 bytes and no NUL; htpasswd -B cut the password there too.
        given = password.encode("utf-8", "surrogatepass")
        usable = b"\x00" not in given
        tried = (user or self._stranger(users, name)).password_hash.encode()
        memory = self._digest(tried, given)
        if user is not None and self._good.get(memory, 0.0) > self._reactor.seconds():
            over(True)
            return user

        def compared(equal: bool) -> bool:
            right = equal and usable and user is not None
            over(right)
            return right

        if not await self._compare(given[:_BCRYPT_BYTES] if usable else b"", tried, begin, compared):
            return None
        while len(self._good) >= _MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[memory] = self._reactor.seconds() + REMEMBERED
        return user

    def _stranger(self, users: Mapping[str, User], name: str) -> User:
        """Whose hash a name that is not there is checked against: always the same, so that time tells nothing."""
        digest = self._digest(b"stranger", name.encode("utf-8", "surrogatepass"))
        return list(users.values())[int.from_bytes(digest[:8]) % len(users)]

    def _digest(self, first: bytes, second: bytes) -> bytes:
        return hmac.digest(self._key, len(first).to_bytes(8) + first + second, hashlib.sha256)

    async def _compare(
        self, password: bytes, password_hash: bytes, begin: Callable[[], None], compared: Callable[[bool], bool]
    ) -> bool:
        if self._pending >= MAX_WAITING:
            raise Fault(503, "Too many people log in at the same time. Try again in a moment.", (("Retry-After", "5"),))
        self._pending += 1

        def turn() -> Deferred[bool]:
            begin()
            pool = self._reactor.getThreadPool()
            comparing: Deferred[bool] = deferToThreadPool(self._reactor, pool, _matches, password, password_hash)
            return comparing.addCallback(compared)  # counted before the next one's turn

        running = self._slots.run(turn)

        def done(result: Any) -> Any:
            self._pending -= 1
            return result

        running.addBoth(done)
        # A client that leaves ends its own wait only: the thread is busy until it is done, and counts until then.
        result: Deferred[bool] = Deferred()
        running.chainDeferred(result)
        return await result


def _matches(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, password_hash)
    except ValueError:
        return False
