"""The format of requests and replies in Redis.  Both are checked when they are read: other programs may write them."""

import re
from dataclasses import dataclass
from typing import Any

from novnc_twisted.messaging.redis.sealing import Opener, Sealer
from novnc_twisted.messaging.wire import MAX_MESSAGE, decode, encode

MAX_DEADLINE = 300.0
"""Maximum deadline of a call, in seconds."""

_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """A call that waits in a queue.

    :ivar call_id: 32 random hex digits.
    :ivar reply_to: the name of the calling process on the bus, 32 random hex digits.
    :ivar public_key: the caller's public key, with which the reply is sealed (encrypted).
    :ivar gives_up: the time at which the caller stops waiting, in milliseconds since 1970 by Redis' clock.
    """

    call_id: str
    reply_to: str
    public_key: str
    gives_up: int
    method: str
    arguments: dict[str, Any]

    def encode(self) -> str:
        """Return the request as JSON; raises the errors of :func:`.wire.encode`."""
        return encode(
            {
                "id": self.call_id,
                "to": self.reply_to,
                "key": self.public_key,
                "until": self.gives_up,
                "method": self.method,
                "arguments": self.arguments,
            }
        )


def read_request(text: Any) -> Request:
    """Read a request.

    :raises ValueError: the request is invalid.  The error does not quote the request.
    """
    body = _object(text, MAX_MESSAGE)
    call_id, reply_to, key, until = body.get("id"), body.get("to"), body.get("key"), body.get("until")
    method, arguments = body.get("method"), body.get("arguments")
    if not (isinstance(call_id, str) and _ID.match(call_id) and isinstance(reply_to, str) and _ID.match(reply_to)):
        raise ValueError("no id, or no address for the reply")
    if not (isinstance(method, str) and isinstance(arguments, dict)):
        raise ValueError("no method, or no arguments")
    if type(until) is not int or not isinstance(key, str):
        raise ValueError("no deadline, or no key")
    # Check the form of the key: if the key is malformed, the reply cannot be sealed, so the call must not run.
    Sealer(key)
    return Request(call_id, reply_to, key, until, method, arguments)


def write_reply(request: Request, answer: str) -> str:
    """Return the reply to a request: the id of the call, and the sealed answer.

    :raises ValueError: libsodium rejects the request's public key, although its form is right (:meth:`.Sealer.seal`).
    """
    sealed = Sealer(request.public_key).seal(request.call_id, answer)
    return f'{{"id":"{request.call_id}","sealed":"{sealed}"}}'


def read_reply(text: Any, opener: Opener) -> tuple[str, str]:
    """Return the id of the call that a reply is for, and its answer.

    :raises ValueError: the reply is invalid, or was sealed for another process or call.  The error does not quote the
        reply.
    """
    # A reply is longer than its answer: encryption adds some bytes, and then base64 adds a third.  The limit of twice
    # MAX_MESSAGE is more than enough for that.
    body = _object(text, 2 * MAX_MESSAGE)
    call_id, sealed = body.get("id"), body.get("sealed")
    if not (isinstance(call_id, str) and isinstance(sealed, str)):
        raise ValueError("no id, or no sealed answer")
    return call_id, opener.open(call_id, sealed)


def _object(text: Any, limit: int) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ValueError("no text")
    body = decode(text, limit)
    if not isinstance(body, dict):
        raise ValueError("no object")
    return body
