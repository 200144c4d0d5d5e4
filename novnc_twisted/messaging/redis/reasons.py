"""Why Redis refuses a connection or a command: codes for the program, and sentences for the log.

Redis' own error text may quote secrets, so it is never logged.  This module recognizes an error by its first words, and
a sentence of this module is logged instead.  The error texts here are those of Redis 7 (``src/server.c``,
``src/acl.c``, ``src/networking.c``, ``src/db.c``) and Valkey 9, which differ in a few words.
"""

import os

from OpenSSL import SSL
from twisted.internet.error import (
    ConnectError,
    ConnectionClosed,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)

from novnc_twisted.messaging.waiting import Late

OUTAGES = ("READONLY", "MASTERDOWN", "LOADING")
"""Codes after which the connection to Redis is made again: the server is a replica, or is still loading its data."""

TROUBLES = ("OOM", "MISCONF", "NOREPLICAS", "BUSY", "CLUSTERDOWN")
"""Codes with which Redis refuses all commands that add data, and perhaps other commands.

The connection itself works.
"""

_PASSING = ("LOADING", "MASTERDOWN")
"""Codes of states that end by themselves.  They are logged like an ordinary loss of the connection."""

_TEXTS = (
    ("ERR max number of clients", "MAXCLIENTS"),
    ("ERR AUTH <password> called without any password", "NOPASSWORD"),
    ("ERR Client sent AUTH, but no password is set", "NOPASSWORD"),
    ("ERR DB index is out of range", "NODB"),
    ("ERR invalid DB index", "NODB"),
    ("ERR SELECT is not allowed in cluster mode", "CLUSTER"),
    ("ERR unknown command", "UNKNOWN"),
    ("ERR wrong number of arguments for 'auth'", "OLD"),
    ("ERR The user executing the script can't", "NOPERM"),
    ("ERR ACL failure in script", "NOPERM"),
)
"""The first words of errors that begin with ``ERR`` instead of a specific code, and the code that they get here."""

_WORDS = {
    "MAXCLIENTS": "it has reached its limit of connections; raise maxclients in redis.conf",
    "WRONGPASS": "it refuses user or password (WRONGPASS), see transport_url",
    "NOAUTH": "it requires a password (NOAUTH), and transport_url has none",
    "NOPASSWORD": "transport_url has a password, and Redis has none: set requirepass in redis.conf, or leave the "
    "password out of transport_url",
    "NODB": "it has no database with the number in transport_url; see the option databases in redis.conf",
    "NOPERM": "its user in transport_url may not do what this service does (NOPERM); make the users with the "
    "novnc-redis-acl of this version",
    "CLUSTER": "it is a Redis Cluster, which is not supported; set transport_url to one Redis, or to Sentinels "
    "(redis+sentinel://)",
    "CLUSTERDOWN": "it is a Redis Cluster, which is not supported; set transport_url to one Redis",
    "SENTINEL": "it is a Sentinel; for Sentinels, set transport_url to redis+sentinel://HOST:PORT/SERVICE",
    "SENTINELAUTH": "its Sentinels require a password, which is not supported",
    "NOSENTINEL": "a host in transport_url is not a Sentinel; without Sentinels, set transport_url to "
    "redis://HOST:PORT/DB",
    "REPLICA": "it is a replica, on which nothing can be written; set transport_url to its primary, or to Sentinels "
    "(redis+sentinel://)",
    "READONLY": "it has become a replica, on which nothing can be written (READONLY)",
    "OLD": "it is older than Redis 7.0; install Redis 7.0 or later, or Valkey",
    "UNKNOWN": "it does not know a command that the services need; is one renamed or removed in redis.conf?",
    "DENIED": "it is in protected mode and takes connections from its own host only; in redis.conf, set bind, and also "
    "requirepass or an aclfile",
    "LOADING": "it is still loading its data from disk",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it cannot save its data and takes no changes (MISCONF); look for a full disk on its host",
    "OOM": "its memory is full and it takes no more data (OOM); raise maxmemory in redis.conf",
    "NOREPLICAS": "too few of its replicas are connected (NOREPLICAS); see min-replicas-to-write in redis.conf",
    "BUSY": "it is busy with a long script (BUSY); an administrator can end it by SCRIPT KILL",
}


def code_of(text: str) -> str:
    """Return an error's code: from ``_TEXTS``, or its first word; ``ERR`` if the word is not a code."""
    for begin, code in _TEXTS:
        if text.startswith(begin):
            return code
    word = (text.split(maxsplit=1) or [""])[0]
    return word[:32] if word.isascii() and word.isalpha() and word.isupper() else "ERR"


def sentence(code: str) -> str:
    """Return what the code means and what to do about it."""
    return _WORDS.get(code, f"it refuses us ({code})")


class NoPrimary(Exception):
    """No Sentinel names a primary, or the named server is not a primary (yet)."""


class Untrusted(Exception):
    """The server's certificate is not valid; the text gives the reason in our own words."""


class Frozen(Exception):
    """The server did not answer in time.

    This is raised in two cases: the connection worked before, or the Sentinels named another primary while the server
    did not answer.
    """


class TooLong(Exception):
    """The connection was closed because a reply was too long; the text gives the limit."""


class NoLogIn(Exception):
    """The server accepted the connection, but did not answer as Redis does.

    :ivar what: what the server did: ``silent``, ``closed`` or ``garbled``.
    :ivar tls: whether the connection used TLS.  For ``silent``, also False if the server has answered an earlier
        command: then TLS works, and cannot be the cause.
    """

    def __init__(self, what: str, *, tls: bool) -> None:
        super().__init__(what)
        self.what = what
        self.tls = tls


def refusal(reason: BaseException) -> str | None:
    """Describe a reason that lasts until an administrator acts; return None for an ordinary loss of the connection."""
    code = getattr(reason, "code", None)
    if isinstance(code, str):
        return None if code in _PASSING else sentence(code)
    if isinstance(reason, Untrusted):
        return f"{reason}, see transport_url"
    if isinstance(reason, SSL.Error):
        words = sorted({str(part[-1]) for part in reason.args[0]}) if reason.args else []
        plain = "; for a port without TLS, use redis://" if any("wrong version" in word for word in words) else ""
        return f"the TLS connection failed ({', '.join(words) or 'no reason given'}{plain}), see transport_url"
    return None


def loss(reason: BaseException) -> str:
    """Describe an ordinary loss of the connection in a few words."""
    if isinstance(reason, NoLogIn):
        return _NO_LOG_IN[reason.what] + (_WITH_TLS if reason.tls else _WITHOUT_TLS).get(reason.what, "")
    if isinstance(reason, NoPrimary):
        return str(reason)
    if getattr(reason, "code", "") in _PASSING:
        return sentence(reason.code)  # type: ignore[attr-defined]
    words = next((words for kind, words in _LOSSES if isinstance(reason, kind)), type(reason).__name__)
    number = getattr(reason, "osError", None)
    return f"{words}: {os.strerror(number)}" if isinstance(number, int) and words == _NO_WAY else words


_NO_WAY = "its host or socket is not reachable"
_LOSSES: tuple[tuple[type[BaseException], str], ...] = (
    (Frozen, "it no longer answers"),
    (ConnectionRefusedError, "connection refused"),
    (DNSLookupError, "its host's name is not found"),
    (TimeoutError, "no answer to the connection attempt"),
    (Late, "no answer to the connection attempt, or to the look-up of its address (DNS or Sentinel)"),
    (ValueError, "its host's name is not valid"),
    (ConnectError, _NO_WAY),
    (ConnectionClosed, "it closed the connection"),
)

_NO_LOG_IN = {
    "silent": "it accepts connections and does not answer",
    "closed": "it closes each new connection",
    "garbled": "the program that answers at this address is not Redis",
}
_WITH_TLS = {
    "silent": ": is this its tls-port, as rediss:// needs?",
    "closed": ": perhaps this port is not its tls-port, which rediss:// needs, or it has reached its maxclients",
}
_WITHOUT_TLS = {"closed": ": if this port is its tls-port, set transport_url to rediss://"}
