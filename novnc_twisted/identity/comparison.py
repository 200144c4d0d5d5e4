"""One comparison of a password with a hash, shared by several checks."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import bcrypt
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def matches(password: bytes, password_hash: bytes) -> bool:
    """Return whether a password matches a hash.  The call blocks for a time that depends on the cost of the hash."""
    try:
        return bcrypt.checkpw(password, password_hash)
    except ValueError:
        # bcrypt cannot read the hash.
        return False


class Comparison:
    """One comparison and the checks that wait for its result."""

    def __init__(self) -> None:
        self._waiters: deque[_Waiter] = deque()

    def join(self, begin: Callable[[], None], done: Callable[[bool], None]) -> Deferred[bool]:
        """Wait for the result; see :meth:`.Passwords.check` for the arguments."""
        # If a client leaves, only its own wait is cancelled.  The comparison goes on, because it runs in a thread,
        # which cannot be interrupted.
        waiter = _Waiter(begin, done, Deferred())
        self._waiters.append(waiter)
        return waiter.result

    def begins(self) -> bool:
        """Call ``begin`` of the first check; if it fails, drop the check, and go on with the next one.

        :return: whether a check is left.
        """
        while self._waiters and not self._waiters[0].begins():
            self._waiters.popleft()
        return bool(self._waiters)

    def finish(self, equal: Any) -> None:
        """Pass the result, or a Failure, to all checks, as if they had run one after the other."""
        if isinstance(equal, Failure):
            for waiter in self._waiters:
                waiter.result.errback(equal)
            return
        for index, waiter in enumerate(self._waiters):
            # The first check has called ``begin`` before the comparison.  The others call it now, because the result of
            # an earlier check may have locked the user out.
            if index == 0 or waiter.begins():
                waiter.done(equal)
                waiter.result.callback(equal)


class _Waiter(NamedTuple):
    """A check that waits for a comparison."""

    begin: Callable[[], None]
    done: Callable[[bool], None]
    result: Deferred[bool]

    def begins(self) -> bool:
        """Call ``begin``; if it raises an exception, let the check fail with this exception, and return False."""
        try:
            self.begin()
        except Exception:
            self.result.errback()
            return False
        return True
