"""Who calls: the roles of the services, each of which may be a user of its own on the bus."""

from collections.abc import Collection, Mapping

from novnc_twisted.messaging.interfaces import Method

ROLES = ("api", "compute", "consoleauth", "proxy")
"""What a caller may be.  One without a role (``""``) is everything: a whole system in one process, or a program of its
own; only who may do everything on the bus can call so."""


def check_role(role: str) -> str:
    """The role; ValueError where it is none of ours."""
    if role and role not in ROLES:
        raise ValueError(f"a role is one of {', '.join(ROLES)}")
    return role


def served_to(
    role: str, methods: Mapping[str, Method], callers: Mapping[str, Collection[str]] | None
) -> dict[str, Method]:
    """The methods that a role may call.

    :param callers: the roles that each method is for; None: every method is for all.
    """
    if callers is None or not role:
        return dict(methods)
    return {name: method for name, method in methods.items() if role in callers.get(name, ())}
