"""What travels between the services: topics, methods, and the roles that may call them.  No I/O."""

from novnc_twisted._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ROLES": "roles",
        "TOPICS": "topics",
        "Topic": "topics",
    },
)
