"""Checks passwords against bcrypt hashes: in threads, few at a time, and equally slowly for unknown users."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.internet.threads import deferToThreadPool

from novnc_twisted.identity.comparison import Comparison, matches
from novnc_twisted.identity.users import User

CONCURRENT = 4
"""Maximum number of concurrent comparisons.  Each takes one of the reactor's ten threads for 50 to 400 ms."""

MAX_WAITING = 100
"""Maximum number of comparisons that run or wait; a further one is refused."""

REMEMBERED = 60.0
"""Seconds for which a correct password is not compared again, because one client command makes four requests."""

_MAX_REMEMBERED = 1000
_BCRYPT_BYTES = 72


class TooManyLogIns(Exception):
    """:data:`MAX_WAITING` comparisons run or wait already, so a password was not compared."""


class Passwords:
    """Checks passwords.

    Simultaneous checks of the same name and password share one comparison.  Each check still counts as one log-in, and
    wrong passwords are not remembered, so guessing does not become cheaper.

    :param reactor: the clock and the thread pool.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._slots = DeferredSemaphore(CONCURRENT)
        self._pending = 0
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, float] = {}
        self._comparisons: dict[bytes, Comparison] = {}

    async def check(
        self,
        users: Mapping[str, User],
        name: str,
        password: str,
        *,
        begin: Callable[[], None] = lambda: None,
        done: Callable[[bool], None] = lambda right: None,
    ) -> User | None:
        """Return the user with this name and password, or None.

        :param begin: called just before the comparison.  If it raises an exception, the check fails with this
            exception, and ``done`` is not called.  If an earlier check began the comparison, ``begin`` is called after
            the comparison and after ``done`` of the earlier checks, because these may have locked the user out.
            ``begin`` is not called if the password is remembered as correct (:data:`REMEMBERED`), because then nothing
            is compared.
        :param done: called with True if the name and the password are right, else with False.  It is also called if
            the check was cancelled in the meantime.
        :raises TooManyLogIns: too many comparisons run or wait.
        """
        user = users.get(name)
        # bcrypt takes at most 72 bytes.  Longer passwords are truncated, as htpasswd -B does.  A password with NUL is
        # always wrong, because htpasswd -B cannot make its hash.
        given = password.encode("utf-8", "surrogatepass")
        usable = b"\x00" not in given
        password_hash = (user or self._substitute(users, name)).password_hash.encode()
        # A keyed digest, so that the passwords themselves are not kept in memory.
        attempt = self._digest(password_hash, given)
        # The digest depends on the hash, so after a change of the password, the old password is not accepted here.
        if user is not None and self._good.get(attempt, 0.0) > self._reactor.seconds():
            done(True)
            return user
        key = self._digest(attempt, name.encode("utf-8", "surrogatepass"))
        running = self._comparisons.get(key)
        if running is None and self._pending >= MAX_WAITING:
            raise TooManyLogIns
        comparison = running or Comparison()
        result = comparison.join(begin, lambda equal: done(equal and usable and user is not None))
        if running is None:
            self._start(key, comparison, given[:_BCRYPT_BYTES] if usable else b"", password_hash)
        equal = await result
        if not equal or not usable or user is None:
            return None
        while len(self._good) >= _MAX_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[attempt] = self._reactor.seconds() + REMEMBERED
        return user

    def _substitute(self, users: Mapping[str, User], name: str) -> User:
        """Return the user whose hash is compared for an unknown name.

        The time of a comparison depends on the cost of the hash.  So log-ins with one known name all take the same
        time.  If the times of an unknown name varied, they would show that the name is unknown.  Therefore, this method
        always returns the same user for the same name, until the user file changes or this process ends.
        """
        digest = self._digest(b"substitute", name.encode("utf-8", "surrogatepass"))
        return list(users.values())[int.from_bytes(digest[:8]) % len(users)]

    def _digest(self, first: bytes, second: bytes) -> bytes:
        return hmac.digest(self._key, len(first).to_bytes(8) + first + second, hashlib.sha256)

    def _start(self, key: bytes, comparison: Comparison, password: bytes, password_hash: bytes) -> None:
        """Run a comparison as soon as a slot is free."""
        # Waiting comparisons count, too, so that MAX_WAITING also limits the time for which a log-in waits.
        self._pending += 1
        self._comparisons[key] = comparison

        def finish(equal: Any) -> None:
            # The slot is released after this function, so a failed log-in is counted before the next comparison begins.
            self._pending -= 1
            del self._comparisons[key]
            comparison.finish(equal)

        def compare() -> Deferred[None]:
            comparing: Deferred[Any] = succeed(False)
            if comparison.begins():
                pool = self._reactor.getThreadPool()
                comparing = deferToThreadPool(self._reactor, pool, matches, password, password_hash)
            return comparing.addBoth(finish)

        self._slots.run(compare)
