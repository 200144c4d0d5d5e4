"""Redis's side of a connection: replies to three commands, or bytes that are not replies."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from novnc_twisted.messaging.redis.protocol import MAX_PENDING, ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.service_list import read_service

from .tools import Target, cuttings, fits_a_log, holds, same, text_of

GONE = Failure(ConnectionDone())


def results(chunks: list[bytes]) -> list[Any]:
    """The result of each command: its reply, or the kind of its failure."""
    transport, protocol, ended = StringTransport(), RedisProtocol(), list[Any]()
    protocol.factory = _Factory()
    protocol.makeConnection(transport)
    for number in range(3):
        protocol.command("PING", number).addBoth(ended.append)
    for chunk in chunks:
        if transport.disconnected:
            break
        protocol.dataReceived(chunk)
        holds(protocol.unfinished <= MAX_PENDING + len(chunk), "holds too much")
    protocol.connectionLost(GONE)
    holds(len(ended) == 3, "a command without a result", ended)
    return [_kind(one) for one in ended]


def _kind(one: Any) -> Any:
    if not isinstance(one, Failure):
        return repr(one)
    holds(one.check(RedisError, ConnectionGone) is not None, "another failure than documented", one.value)
    fits_a_log(str(one.value), 32, "the failure")
    return type(one.value)


class _Factory:
    """The factory that txredisapi's protocol expects."""

    isLazy = continueTrying = False

    def addConnection(self, connection: object) -> None:
        """Called with a new connection."""

    def delConnection(self, connection: object) -> None:
        """Called with a lost connection."""


def run(data: bytes) -> None:
    """Any bytes: each command has the same result for all chunks; an announcement is valid, or is ignored."""
    wanted = results([data] if data else [])
    for chunks in cuttings(data):
        same(results([chunk for chunk in chunks if chunk]), wanted, "the results")
    name, _, rest = text_of(data).partition("\n")
    member, _, score = rest.partition("\n")
    service = read_service(name, member, score)
    if service is not None:
        holds(service.topic and isinstance(service.info, dict), "an invalid service", service)


TARGETS = (
    Target(
        "redis-reply",
        run,
        256,
        (
            b"+PONG\r\n",
            b"$3\r\nabc\r\n",
            b"$-1\r\n",
            b"*2\r\n$1\r\na\r\n:1\r\n",
            b"-NOPERM this user\r\n",
            b"-ERR x\r\n",
            b":9\r\n",
            b"*-1\r\n",
            b"$99999999999\r\n",
            b'consoleauth@ab\nworker {"binary":"b","host":"h","info":{}}\n1000',
        ),
    ),
)
