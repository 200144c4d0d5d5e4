"""The names of keys in Redis.  The rights of each user contain patterns of these names (:mod:`.acl`)."""

PREFIX = "novnc:"

KINDS = PREFIX + "services"
"""Key of the set of kinds of topics.  Each kind has a set of services (:func:`services`).

Compute hosts and proxies may use only SADD on these sets.  So they can add names, but cannot remove the names of other
services.
"""


def kind_of(topic: str) -> str:
    """Return the kind of a topic: the part of its name before the first dot, such as ``compute``."""
    return topic.partition(".")[0]


def services(kind: str) -> str:
    """Key of the set of services of a kind: the names ``TOPIC@PLACE`` of their presence entries.

    PLACE is the address that a compute host announces; it is empty for other services.  A name may stay in the set for
    some time after its entry has expired.
    """
    return f"{KINDS}:{kind}"


def requests(topic: str, role: str = "") -> str:
    """Queue key for calls to ``topic`` from callers with ``role``.

    If each role has a Redis user of its own, only these callers may write to the queue, so the queue proves the role.
    """
    return f"{PREFIX}q:{topic}:{role}" if role else f"{PREFIX}q:{topic}"


def replies(process: str, role: str = "") -> str:
    """Queue key for replies to a process with a role."""
    return f"{PREFIX}r:{role}:{process}" if role else f"{PREFIX}r:{process}"


def servers(topic: str) -> str:
    """Key of the sorted set with the ``worker`` name of each server of a topic (see :mod:`.scripts`)."""
    return f"{PREFIX}p:{topic}"


def announced(name: str) -> str:
    """Key of the presence entries of ``TOPIC@PLACE``."""
    return f"{PREFIX}a:{name}"


def stored(key: str) -> str:
    """Key of an object of the keyed store (:class:`.IKeyedStore`; its groups, logs and indexes follow below)."""
    return f"{PREFIX}s:{key}"


def group(name: str) -> str:
    """Key of a group of the keyed store."""
    return f"{PREFIX}g:{name}"


def log(name: str) -> str:
    """Key of a log of the keyed store."""
    return f"{PREFIX}l:{name}"


def index(name: str) -> str:
    """Key of an index of the keyed store."""
    return f"{PREFIX}i:{name}"
