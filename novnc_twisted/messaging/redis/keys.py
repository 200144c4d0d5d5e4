"""The names of keys in Redis.  Who may do what is decided by them alone: see :mod:`.acl`."""

PREFIX = "novnc:"

SERVICES = PREFIX + "services"
"""Each ``TOPIC@PLACE`` that somebody announced lately.  A set: who may add to it can neither hide nor change others."""


def requests(topic: str, role: str = "") -> str:
    """The list of calls to a topic by callers of a role: who may write to it is of that role."""
    return f"{PREFIX}q:{topic}:{role}" if role else f"{PREFIX}q:{topic}"


def replies(process: str, role: str = "") -> str:
    """The list of replies for a process of a role."""
    return f"{PREFIX}r:{role}:{process}" if role else f"{PREFIX}r:{process}"


def servers(topic: str) -> str:
    """Who serves a topic."""
    return f"{PREFIX}p:{topic}"


def announced(name: str) -> str:
    """Who is seen under a topic and at a place, ``TOPIC@PLACE``, with what each says of itself."""
    return f"{PREFIX}a:{name}"


def stored(key: str) -> str:
    """An object of the keyed store."""
    return f"{PREFIX}s:{key}"


def group(name: str) -> str:
    """A group of the keyed store."""
    return f"{PREFIX}g:{name}"


def index(name: str) -> str:
    """An index of the keyed store."""
    return f"{PREFIX}i:{name}"
