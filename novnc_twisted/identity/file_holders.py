"""Finds the users of API tokens in the user file."""

from collections.abc import Callable, Mapping

from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller, User


class FileHolders:
    """See ITokenHolders.

    :param user_of: returns the user with a given name in the current file, or None.
    """

    def __init__(self, user_of: Callable[[str], User | None]) -> None:
        self._user_of = user_of

    async def grant(self, request: Request, caller: Caller, seconds: float) -> dict[str, str]:
        """See ITokenHolders.  No data is needed, because the user is found by name."""
        return {}

    async def holder(self, request: Request, user: str, project: str | None, grant: Mapping[str, str]) -> Caller | None:
        """See ITokenHolders.

        The token becomes invalid when the user's line is removed, or when the user may no longer use the token's
        project.  After a change of the password, the token stays valid.
        """
        found = self._user_of(user)
        if found is None or (project is not None and not found.may_scope_to(project)):
            return None
        return found.caller(project)

    async def withdraw(self, request: Request, user: str, grant: Mapping[str, str]) -> None:
        """See ITokenHolders.  There is nothing to undo."""
