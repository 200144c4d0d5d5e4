"""One connection to Redis: txredisapi's protocol, without what of it would be in the way.

The factories of txredisapi are not used: they give up for ever when a log-in fails, keep commands for ever while they
are disconnected, and verify no certificate.  :mod:`.link` keeps the connection instead.  Importing txredisapi installs
the global reactor: no other module does.
"""

import hiredis
import txredisapi
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from novnc_twisted.messaging.redis.reasons import code_of

if not issubclass(txredisapi.RedisProtocol, txredisapi.HiredisProtocol):  # pragma: no cover
    raise ImportError(f"txredisapi does not use hiredis {hiredis.__version__}")

MAX_PENDING = 32 << 20
"""Bytes that Redis may send without having finished one reply."""


class RedisError(Exception):
    """Redis answered with an error.

    :ivar code: its first word, as ``NOPERM``, or a code of :mod:`.reasons`; the text itself may quote what was sent.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ConnectionGone(Exception):
    """The connection ended before the reply came."""


class RedisProtocol(txredisapi.HiredisProtocol):  # type: ignore[misc]
    """A connection that says when it is lost, and that a peer can't make log a traceback.

    Strings come back as ``str`` (``bytes`` where they are no UTF-8), never as numbers.  Cancelling a command's
    Deferred keeps the replies in order.

    :ivar lost: fires with the reason, an exception, once it is lost.
    :ivar max_pending: bytes that Redis may send without having finished one reply.
    :ivar too_long: whether the connection was ended because a reply was longer than that.
    :ivar garbled: whether it was ended because something else than RESP came.
    :ivar answered: whether a reply has come.
    """

    noisy = False

    def __init__(self) -> None:
        super().__init__(charset="utf-8", convertNumbers=False)
        self.lost: Deferred[BaseException] = Deferred()
        self.max_pending = MAX_PENDING
        self.too_long = False
        self.garbled = False
        self.answered = False
        self._unfinished = 0

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Take replies; what is no RESP, or too much of it, ends the connection."""
        self._unfinished += len(data)
        try:
            super().dataReceived(data)
        except txredisapi.InvalidData:
            self.garbled = True
            self.transport.abortConnection()
            return
        if self._unfinished > self.max_pending:
            self.too_long = True
            self.transport.abortConnection()

    def replyReceived(self, reply: object) -> None:
        """A whole reply is here."""
        self._unfinished = 0
        self.answered = self.answered or not isinstance(reply, txredisapi.ConnectionError)
        super().replyReceived(reply)

    def connectionLost(self, why: Failure) -> None:
        """Say so, then fail what waits for a reply: who then asks for a connection does not get this one again."""
        self.lost.callback(why.value or ConnectionGone())
        super().connectionLost(why)

    def command(self, *words: str | int) -> Deferred[object]:
        """Send a command; its reply.

        Fails with RedisError or ConnectionGone.
        """
        try:
            reply: Deferred[object] = self.execute_command(*words)
        except txredisapi.ConnectionError:
            reply = Deferred()
            reply.errback(ConnectionGone())
            return reply
        return reply.addErrback(_translated)


def _translated(failure: Failure) -> Failure:
    if failure.check(txredisapi.ResponseError):
        raise RedisError(code_of(str(failure.value))) from None
    if failure.check(txredisapi.RedisError):
        raise ConnectionGone from None
    return failure
