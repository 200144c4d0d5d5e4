"""The first commands on a new connection: log in, and check that this server can be used."""

import re
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed

from novnc_twisted.messaging.redis.endpoint import CONNECT_TIMEOUT
from novnc_twisted.messaging.redis.protocol import ConnectionGone, RedisError, RedisProtocol
from novnc_twisted.messaging.redis.reasons import NoLogIn, NoPrimary
from novnc_twisted.messaging.redis_url import RedisURL
from novnc_twisted.messaging.waiting import Late, peek, within

MIN_VERSION = 7
"""The oldest supported major version of Redis: version 7 introduced selectors of ACL users and ``PEXPIRE NX``."""


async def log_in(protocol: RedisProtocol, address: RedisURL) -> None:
    """Log in, check the server's kind, and select the database.

    :raises RedisError: Redis refuses, or is a server that cannot be used; ``code`` gives the reason (:mod:`.reasons`).
    :raises NoPrimary: a Sentinel named this server, but the server is a replica.
    :raises ConnectionGone: the connection ended.
    """
    if address.password is not None:
        # AUTH with one argument is for the default user.
        user = [address.username] if address.username is not None else []
        await protocol.command("AUTH", *user, address.password)
    try:
        # Every user may send HELLO, whatever its rights.
        found = await protocol.command("HELLO")
    except RedisError as error:
        raise RedisError("OLD") if error.code == "UNKNOWN" else error from None
    # Check before SELECT, so that a cluster is reported as a cluster: on a cluster of Valkey 9, SELECT fails with the
    # same error as for a missing database.
    _check(found, address)
    if address.db:
        await protocol.command("SELECT", address.db)


async def in_time(begin: Coroutine[Any, Any, None], protocol: RedisProtocol, address: RedisURL, reactor: Any) -> None:
    """Run the first commands of a connection within CONNECT_TIMEOUT.

    Failures are raised as exceptions that :mod:`.reasons` describes in sentences for the log.
    """
    try:
        await within(Deferred.fromCoroutine(begin), CONNECT_TIMEOUT, reactor)
    except Late:
        raise NoLogIn("silent", tls=address.tls and not protocol.answered) from None
    except ConnectionGone:
        reason = await peek(protocol.lost)
        if protocol.garbled:
            reason = NoLogIn("garbled", tls=address.tls)
        elif not protocol.answered and isinstance(reason, ConnectionClosed):
            reason = NoLogIn("closed", tls=address.tls)
        raise reason from None


def _check(hello: Any, address: RedisURL) -> None:
    """Check a reply to HELLO: a list of alternating names and values."""
    if not isinstance(hello, list):
        raise RedisError("OLD")
    found = {str(name): value for name, value in zip(hello[::2], hello[1::2], strict=False)}
    if found.get("mode") in ("cluster", "sentinel"):
        raise RedisError(str(found["mode"]).upper())
    major = str(found.get("version")).partition(".")[0]
    if not major.isdigit() or int(major) < MIN_VERSION:
        raise RedisError("OLD")
    # A replica refuses writes.  For a moment after a failover, a Sentinel may still name a replica.
    if found.get("role") != "master":
        if address.sentinels:
            raise NoPrimary(f"{address.service}: the server that Sentinel named is a replica")
        raise RedisError("REPLICA")


async def eviction_policy(protocol: RedisProtocol) -> str | None:
    """Return Redis' eviction policy (``maxmemory-policy``).

    None if this user may not ask for it, or if the reply does not contain it.

    :raises RedisError: Redis refuses for a reason other than a missing right.
    :raises ConnectionGone: the connection ended.
    """
    try:
        text = str(await protocol.command("INFO", "memory"))
    except RedisError as error:
        if error.code != "NOPERM":
            raise
        return None
    found = re.search(r"^maxmemory_policy:([a-z-]{1,32})\s*$", text, re.MULTILINE)
    return found[1] if found else None
