"""``TokenRedis``: looks a token up in Redis.

The key is the token, or ``namespace:token`` if the source has a namespace.  The value is ``host:port``, or
``{"host": "host:port"}`` with an optional ``password``.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from zope.interface import implementer

from novnc_twisted.errors import InvalidToken
from novnc_twisted.messaging.redis_url import RedisURL, parse_redis_url
from novnc_twisted.token_plugins.interfaces import LONGEST_TOKEN, ITokenPlugin
from novnc_twisted.token_plugins.source_fields import source_fields
from novnc_twisted.token_plugins.target import Target, parse_target

_FORM = "host[:port[:db[:password[:namespace]]]]"


@implementer(ITokenPlugin)
class TokenRedis:
    """Reads the key at each look-up from a Redis or Valkey server, so that an expired key is unknown at once."""

    max_token = LONGEST_TOKEN
    reads_once = False
    directories: tuple[str, ...] = ()

    def __init__(self, reactor: Any, source: str) -> None:
        """Prepare; :meth:`start` connects.

        :param source: ``host[:port[:db[:password[:namespace]]]]``, or a URL such as
            ``rediss://[user:password@]host[:port][/db][#namespace]``.
        :raises ValueError: the extra ``[redis]`` is not installed; or the source has another form; or the URL names a
            file (a certificate or key) that cannot be used.
        """
        address, namespace = redis_source(source)
        try:
            from novnc_twisted.messaging.redis.reader import RedisReader
        except ImportError:
            raise ValueError("TokenRedis needs the extra [redis]: pip install 'novnc-twisted[redis]'") from None
        self._reader = RedisReader(reactor, address)
        self._prefix = f"{namespace}:" if namespace else ""

    def start(self) -> None:
        """See ITokenPlugin."""
        self._reader.start()

    def stop(self) -> Any:
        """See ITokenPlugin."""
        return self._reader.stop()

    def renewal(self) -> Callable[[], None]:
        """See ITokenPlugin.  Each look-up reads the source, so there is nothing to read again."""
        return lambda: None

    async def look_up(self, token: str) -> Target:
        """See ITokenPlugin."""
        if not token.isprintable():
            raise InvalidToken("the token contains characters that are not printable")
        value = await self._reader.get(self._prefix + token)
        if value is None:
            raise InvalidToken("Redis has no key for the token")
        try:
            return _target(value.strip())
        except (ValueError, RecursionError):
            # Not ServiceUnavailable: the value may belong to another application.  Without a namespace, a client can
            # send the name of any key of the database as its token.
            raise InvalidToken("the value of the key for the token is not host:port") from None


def redis_source(source: str) -> tuple[RedisURL, str]:
    """Return the address and the namespace of a token source.

    :raises ValueError: the source has another form.  The error does not quote the source, which may have a password.
    """
    # Look for a scheme only at the beginning: in the form ``host:port:...``, a password may contain "://".
    if re.match(r"[A-Za-z0-9+.-]*://", source):
        url, _, namespace = source.partition("#")
        try:
            return parse_redis_url(url), namespace
        except ValueError as error:
            # Errors of parse_redis_url() begin with the name of another option, which also takes such a URL.
            raise ValueError(str(error).removeprefix("transport_url ")) from None
    host, port, db, password, namespace, *more = [*source_fields(source), "", "", "", "", ""]
    if any(more) or not host:
        raise ValueError(f"not of the form {_FORM}")
    login = f":{quote(password, safe='')}@" if password else ""
    where = f"[{host}]" if ":" in host else host
    try:
        return parse_redis_url(f"redis://{login}{where}:{port or 6379}/{db or 0}"), namespace
    except ValueError:
        raise ValueError(f"not of the form {_FORM}") from None


def _target(value: str) -> Target:
    if not value.startswith("{"):
        return parse_target(value)
    found = json.loads(value)
    host, password = found.get("host"), found.get("password")
    if not isinstance(host, str) or not isinstance(password, str | None):
        raise ValueError("no host, or a password that is not a text")
    return replace(parse_target(host), password=password)
