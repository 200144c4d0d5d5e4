"""One connection to Redis: txredisapi's parser and reply queue, with our own limits and errors.

The docstring of this package explains why only these parts of txredisapi are used.  Importing txredisapi installs the
global reactor.  So only this package may import txredisapi, and other packages import this module only when Redis is
used.
"""

import hiredis
import txredisapi
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from novnc_twisted.messaging.redis.reasons import code_of

if not issubclass(txredisapi.RedisProtocol, txredisapi.HiredisProtocol):  # pragma: no cover
    raise ImportError(f"txredisapi cannot use the installed hiredis {hiredis.__version__}")

MAX_PENDING = 32 << 20
"""Maximum number of bytes of one reply."""


class RedisError(Exception):
    """Redis answered with an error.

    :ivar code: the first word of the error, such as ``NOPERM``, or a code of :mod:`.reasons`.  The other words are
        dropped, because they may quote secrets.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ConnectionGone(Exception):
    """The connection ended before the reply came."""


class RedisProtocol(txredisapi.HiredisProtocol):  # type: ignore[misc]
    """A connection with a Deferred for its loss.  No input of the peer causes a traceback in the log.

    Strings are returned as ``str`` (as ``bytes`` if they are not UTF-8), never as numbers.  If the Deferred of a
    command is cancelled, the other commands still get the right replies.

    :ivar lost: fires with the reason, an exception, when the connection is lost.
    :ivar max_pending: maximum number of bytes of one reply.
    :ivar too_long: whether the connection was closed because a reply was longer than ``max_pending``.
    :ivar garbled: whether the connection was closed because the peer does not speak RESP.
    :ivar answered: whether a reply has come.
    :ivar unfinished: bytes received after the last call of :meth:`dataReceived` that completed a reply.
    :ivar primary: host and port of the server, if a Sentinel named it.
    """

    noisy = False

    def __init__(self) -> None:
        # Do not convert replies to numbers: a token or a name that has only digits must stay a string.
        super().__init__(charset="utf-8", convertNumbers=False)
        self.lost: Deferred[BaseException] = Deferred()
        self.max_pending = MAX_PENDING
        self.too_long = False
        self.garbled = False
        self.answered = False
        self.unfinished = 0
        self.primary: tuple[str, int] | None = None

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Parse replies; close the connection if the data is not RESP, or a reply is too long."""
        # hiredis keeps an unfinished reply in memory without a limit, so its bytes are counted here.
        self.unfinished += len(data)
        try:
            super().dataReceived(data)
        except Exception:
            # Not only InvalidData: for a map with a list as a key, hiredis raises TypeError.  An error here is always
            # the parser's: replyReceived() passes replies to Deferreds, which keep the errors of their callbacks.
            self.garbled = True
            self.transport.abortConnection()
            return
        if self.unfinished > self.max_pending:
            self.too_long = True
            self.transport.abortConnection()

    def replyReceived(self, reply: object) -> None:
        """Handle one complete reply.

        When the connection is lost, txredisapi also calls this method, with a ConnectionError for each pending command.
        """
        self.unfinished = 0
        self.answered = self.answered or not isinstance(reply, txredisapi.ConnectionError)
        super().replyReceived(reply)

    def connectionLost(self, why: Failure) -> None:
        """Fire ``lost`` before the pending commands fail, so that their callers do not get this connection again."""
        self.lost.callback(why.value or ConnectionGone())
        super().connectionLost(why)

    def command(self, *words: str | int) -> Deferred[object]:
        """Send a command; fires with its reply.

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
