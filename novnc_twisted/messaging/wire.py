"""The format of calls and answers: JSON in both directions."""

import re
from collections.abc import Mapping
from inspect import signature
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from novnc_twisted.access import strict_json
from novnc_twisted.errors import TABLE, Refusal, ServiceUnavailable
from novnc_twisted.messaging.interfaces import Method

MAX_MESSAGE = 1 << 20
"""Maximum length of a request, of a reply and of an object in the store, in bytes of JSON."""

MAX_CONCURRENCY = 100
"""Maximum number of calls that a server of a topic works on at a time; further calls wait.

On Redis, this limit applies to each queue of the topic (one for each role of callers).
"""

_KEY = re.compile(r"\S{1,512}\Z")
_ENTRY = re.compile(r"[0-9]{1,15}-[0-9]{1,15}\Z")
_TOPIC = re.compile(r"[!-~]{1,255}\Z")
_log = Logger()


def encode(value: Any) -> str:
    """Encode a value as JSON.

    :raises TypeError: see :func:`.strict_json.dumps`.
    :raises ValueError: the JSON is longer than :data:`MAX_MESSAGE`.
    """
    text = strict_json.dumps(value)
    if len(text) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(text)} bytes is over the limit of {MAX_MESSAGE}")
    return text.decode()


def decode(text: str | bytes, limit: int = MAX_MESSAGE) -> Any:
    """Decode a JSON text that a peer wrote.

    :param limit: maximum length in bytes of UTF-8.
    :raises ValueError: the text is not JSON, is too long or nested too deeply, or contains NaN or a number that is too
        large for a float.
    """
    if size_of(text) > limit:
        raise ValueError("too long")
    return strict_json.loads(text)


def size_of(text: str | bytes) -> int:
    """Return the number of bytes of a text in UTF-8."""
    # surrogatepass: the JSON decoder, not this function, refuses lone surrogates.
    return len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def encode_object(value: Mapping[str, Any]) -> str:
    """Encode a mapping as a JSON object; raises TypeError for other values, and the errors of :func:`encode`."""
    if type(value) is not dict:  # nearly always it is a dict, and the check for other mappings is slow
        if not isinstance(value, Mapping):
            raise TypeError(f"a mapping is needed, not {type(value).__name__}")
        value = dict(value)
    return encode(value)


def check_topic(topic: str) -> str:
    """Return the topic; ValueError unless it has 1 to 255 printable ASCII characters without spaces."""
    if not _TOPIC.match(topic):
        raise ValueError("a topic has 1 to 255 printable ASCII characters and no space")
    return topic


def check_place(place: str) -> str:
    """Check and return the address that a compute host announces with its topic; empty for other services.

    The address must not contain ``@``: in Redis, the last ``@`` in the name of a presence entry (``TOPIC@PLACE``)
    separates the topic from the address.

    :raises ValueError: the address has more than 255 characters, or contains a space, an ``@`` or a character that is
        not printable ASCII.
    """
    if place and not (_TOPIC.match(place) and "@" not in place):
        raise ValueError("an address has at most 255 printable ASCII characters, no space and no @")
    return place


def check_key(key: str) -> str:
    """Return the key.  A key is the name of an object, an index, a log or a group in the store.

    :raises ValueError: the key does not have 1 to 512 characters, or contains white space.
    """
    # The first check is faster than the pattern, and accepts nearly all keys.  It tests for the space only, because no
    # other white space is printable.
    if not (0 < len(key) <= 512 and key.isprintable() and " " not in key) and not _KEY.match(key):
        raise ValueError("a key of the store has 1 to 512 characters and no white space")
    return key


def entry_id(text: str) -> tuple[int, int]:
    """Read the id of a log's entry, two numbers with a hyphen between them; ValueError if the text is no such id."""
    if not isinstance(text, str) or not _ENTRY.match(text):
        raise ValueError("not the id of an entry")
    first, _, second = text.partition("-")
    return int(first), int(second)


async def perform(topic: str, methods: Mapping[str, Method], method: str, arguments: Mapping[str, Any]) -> str:
    """Run one served method; return its answer as the JSON text that :func:`outcome` reads.

    If the method raises a refusal, the answer contains it.  Any other exception is a bug in the service: this function
    logs the exception, and the caller gets ServiceUnavailable.  If the method or an argument is unknown, or an argument
    is missing, the caller also gets ServiceUnavailable, but nothing is logged.

    :raises CancelledError: the method was cancelled.
    """
    try:
        if method not in methods:
            raise ServiceUnavailable(f"{topic} has no such method")
        # The result is encoded inside the try: a result that is not JSON is also a bug in the service.
        return encode({"result": await methods[method](**arguments)})
    except CancelledError:
        raise
    except Refusal as refusal:
        return encode(refused(refusal))
    except Exception as error:
        if isinstance(error, TypeError) and not _fits(methods[method], arguments):
            return encode(
                refused(ServiceUnavailable(f"{topic}: {method} has other arguments; run one version of all services"))
            )
        _log.failure("{topic} failed in its method {method}", topic=topic, method=method)
        return encode(refused(ServiceUnavailable(f"{topic} failed in {method}, see its log")))


def _fits(method: Method, arguments: Mapping[str, Any]) -> bool:
    """Return whether a method can be called with these keyword arguments."""
    try:
        signature(method).bind(**arguments)
    except TypeError:
        return False
    return True


def refused(refusal: Refusal) -> dict[str, str]:
    """Encode a refusal: the name of its class, and its detail.

    If the class is not in :data:`novnc_twisted.errors.TABLE`, the name is that of its nearest base class in the table.
    """
    row = next(row.__name__ for row in type(refusal).__mro__ if row.__name__ in TABLE)
    return {"error": row, "detail": refusal.detail}


def outcome(text: str | bytes) -> Any:
    """Decode an answer, and return its result.

    :raises Refusal: the answer contains this refusal.  If this version does not know the refusal, ServiceUnavailable.
    :raises ValueError: the text is not an answer.
    """
    answer = decode(text)
    if not isinstance(answer, dict):
        raise ValueError("an answer is an object")
    if "result" in answer:
        return answer["result"]
    name, detail = answer.get("error"), answer.get("detail")
    if not isinstance(name, str) or not isinstance(detail, str):
        raise ValueError("an answer contains a result, or an error and its detail")
    raise TABLE.get(name, ServiceUnavailable)(detail)
