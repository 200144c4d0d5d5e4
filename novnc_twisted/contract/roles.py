"""The roles of the services on the bus.

With Redis' access control lists, each role has a Redis user of its own.  The role ``compute`` is an exception: it has
one Redis user for each compute host.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

API: Final = "api"
COMPUTE: Final = "compute"
CONSOLEAUTH: Final = "consoleauth"
PROXY: Final = "proxy"

ROLES: Final = (API, COMPUTE, CONSOLEAUTH, PROXY)
"""The roles that a caller can have.

There is also the empty role (``""``): its callers may call every method.  Services that run together in one process
have this role.  A program that an operator has written for the bus has it too.  On Redis, a process can call with the
empty role only if it logs in as a user with the rights to all our keys.
"""

EXPOSED: Final = (COMPUTE, PROXY)
"""The roles whose credentials are the most likely to be stolen.

Proxies are reachable from the Internet, and compute hosts run the VMs of strangers.  So a service receives the calls
from each of these roles on a separate connection to Redis, where they cannot delay the calls from other roles.
"""

_T = TypeVar("_T")


def check_role(role: str) -> str:
    """Return the role.

    :raises ValueError: it is neither empty nor one of :data:`ROLES`.
    """
    if role and role not in ROLES:
        raise ValueError(f"a role is one of {', '.join(ROLES)}")
    return role


def methods_for(role: str, methods: Mapping[str, _T], callers: Mapping[str, Collection[str]] | None) -> dict[str, _T]:
    """Return the methods that callers with this role may call.

    :param callers: the roles that may call each method; None: all roles may call all methods.
    """
    if callers is None or not role:
        return dict(methods)
    return {name: method for name, method in methods.items() if role in callers.get(name, ())}
