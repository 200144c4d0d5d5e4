"""A Redis for unit tests: an endpoint on a ``task.Clock`` whose connections reply to commands with given bytes."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

Answer = bytes | None | Callable[[list[str]], bytes | None]
"""The reply to a command: bytes, or None for silence; or a function from the command's words to one of these."""

OK = b"+OK\r\n"
NOPERM = b"-NOPERM this user has no permissions to run the command\r\n"
NOSCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
EPOCH = 1_700_000_000
"""Its Unix time when the clock is at 0."""


def bulk(*words: str | bytes) -> bytes:
    """Encode an array of strings for RESP."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def hello(**changes: str) -> bytes:
    """The reply to HELLO of a usable server, with changes."""
    fields = {"server": "redis", "version": "7.0.15", "mode": "standalone", "role": "master"} | changes
    return bulk(*(word for pair in fields.items() for word in pair))


@implementer(IStreamClientEndpoint)
class FakeRedis:
    """An endpoint; its replies can be changed at any time.

    :ivar answers: replies, by a command's first word in capitals.
    :ivar refuses: whether attempts to connect fail.
    :ivar attempts: the clock's time of each attempt to connect.
    :ivar heard: the words of each command that it received.
    :ivar connections: the live connections.
    :ivar ahead: seconds by which its time is ahead of the clock's.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.answers: dict[str, Answer] = {
            "AUTH": OK,
            "SELECT": OK,
            "HELLO": hello(),
            "SCRIPT": OK,
            "EVAL": OK,
            "EVALSHA": b":1\r\n",
            "SADD": b":0\r\n",
            "ZADD": b":1\r\n",
            "TIME": lambda _: self.time(),
            "BLPOP": None,
        }
        self.refuses = False
        self.ahead = 0.0
        self.attempts: list[float] = []
        self.heard: list[list[str]] = []
        self.connections: list[FakeConnection] = []

    def time(self) -> bytes:
        """A reply to TIME."""
        now = EPOCH + self.clock.seconds() + self.ahead
        return bulk(str(int(now)), str(int(now % 1 * 1e6)))

    def connect(self, factory: Any) -> Deferred[Any]:
        """See IStreamClientEndpoint."""
        self.attempts.append(self.clock.seconds())
        if self.refuses:
            return fail(ConnectionRefusedError())
        protocol = factory.buildProtocol(None)
        connection = FakeConnection(self, protocol)
        self.connections.append(connection)
        protocol.makeConnection(connection)
        return succeed(protocol)

    def named(self, *names: str) -> list[list[str]]:
        """The received commands with these names."""
        return [words for words in self.heard if words[0] in names]

    def blocked(self) -> list["FakeConnection"]:
        """The connections that wait for BLPOP."""
        return [one for one in self.connections if one.last[:1] == ["BLPOP"]]

    def die(self) -> None:
        """End every connection, and accept no more."""
        self.refuses = True
        for connection in list(self.connections):
            connection.lose()


class FakeConnection:
    """The transport of one connection; it receives commands as they are written."""

    disconnecting = False

    def __init__(self, server: FakeRedis, protocol: Any) -> None:
        self._server = server
        self._protocol = protocol
        self._unread = b""
        self._lost = False
        self.last: list[str] = []

    def write(self, data: bytes) -> None:
        """Receive commands of the client."""
        self._unread += data
        while (words := self._command()) is not None:
            self._server.heard.append(words)
            self.last = words
            answer = self._server.answers.get(words[0].upper(), b"-ERR unknown command\r\n")
            answer = answer(words) if callable(answer) else answer
            if answer is not None:
                self.say(answer)

    def say(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.last = []
        if not self._lost:
            self._protocol.dataReceived(data)

    def lose(self, reason: Exception | None = None) -> None:
        """End the connection."""
        if not self._lost:
            self._lost = True
            self._server.connections.remove(self)
            self._protocol.connectionLost(Failure(reason or ConnectionLost()))

    def abortConnection(self) -> None:
        """See ITCPTransport.  The protocol is notified in the next iteration of the reactor."""
        self._server.clock.callLater(0, self.lose, ConnectionAborted())

    loseConnection = loseWriteConnection = abortConnection

    def getHost(self) -> Any:
        """No address."""
        return None

    getPeer = getHost

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to do."""

    setTcpKeepAlive = setTcpNoDelay

    def _command(self) -> list[str] | None:
        """The words of the next command; None if it is incomplete."""
        rest, words = self._unread, list[str]()
        head, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        for _ in range(int(head[1:])):
            length, found, rest = rest.partition(b"\r\n")
            size = int(length[1:]) if found else 0
            if not found or len(rest) < size + 2:
                return None
            words.append(rest[:size].decode())
            rest = rest[size + 2 :]
        self._unread = rest
        return words
