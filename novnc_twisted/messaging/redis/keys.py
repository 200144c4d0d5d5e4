"""The names of keys in Redis.  The rights of each user are patterns of these names: see :mod:`.acl`."""

PREFIX = "novnc:"

SERVICES = PREFIX + "services"
"""The set of each ``TOPIC@PLACE`` with a recent presence entry.

The right to SADD lets a user add names to it; it cannot hide or change others.
"""


def requests(topic: str, role: str = "") -> str:
    """Queue key for calls to ``topic`` from callers with ``role``.  Write permission on it proves the caller's role."""
    return f"{PREFIX}q:{topic}:{role}" if role else f"{PREFIX}q:{topic}"


def replies(process: str, role: str = "") -> str:
    """Queue key for replies to a process with a role."""
    return f"{PREFIX}r:{role}:{process}" if role else f"{PREFIX}r:{process}"


def servers(topic: str) -> str:
    """Key of the set of a topic's servers."""
    return f"{PREFIX}p:{topic}"


def announced(name: str) -> str:
    """Key of the presence entries under ``TOPIC@PLACE``, each with what its service announces."""
    return f"{PREFIX}a:{name}"


def stored(key: str) -> str:
    """Key of an object of the keyed store."""
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
