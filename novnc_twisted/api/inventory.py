"""The servers that a caller may see."""

from collections.abc import Callable, Sequence

from novnc_twisted.api.backends import IComputeAPI
from novnc_twisted.api.errors import instance_not_found
from novnc_twisted.contract import fields
from novnc_twisted.contract.instance import Instance
from novnc_twisted.errors import InstanceNotFound, ServiceUnavailable
from novnc_twisted.identity.users import Caller


class Inventory:
    """The servers of all compute hosts, as the caller of a request sees them.

    A server whose host is not alive appears in lists with an unknown state.  A request for this server itself fails
    with "not available" (503), not with "there is no such server" (404).
    """

    def __init__(self, compute: IComputeAPI) -> None:
        self._compute = compute

    async def page(
        self,
        caller: Caller,
        *,
        project: str | None = None,
        wanted: Callable[[Instance], bool] = lambda _instance: True,
        name: str = "",
        marker: str | None = None,
        limit: int | None = None,
    ) -> tuple[Sequence[Instance], bool]:
        """Return servers that the caller may see, sorted by name and id, and whether more servers follow.

        A user gets the servers of the user's project, an administrator those of ``project``.

        :param project: the id or name of the project whose servers an administrator wants; None: all projects.
        :param wanted: whether a server passes the filters of the request.
        :param name: a text that the name of a server must contain.
        :param marker: the id of the last server of the previous page.
        :param limit: maximum number of servers; None: all.
        :raises InstanceNotFound: the marker is not the id of a server that the caller may see.
        :raises ServiceUnavailable: no compute host answers.
        """
        return await self._compute.page(
            # For a user without a project, pass "", which matches no server.  None would mean all projects.
            project=project if caller.is_admin else caller.project or "",
            visible=caller.sees,
            wanted=wanted,
            name=name,
            marker=marker,
            limit=limit,
        )

    async def find(self, caller: Caller, server_id: str) -> Instance:
        """Return the server with this id, if the caller may see it.

        :raises HTTPError: 404: there is no such server, the id is not a UUID, or the caller may not see the server.
        :raises ServiceUnavailable: a compute host that runs the server, or may run it, does not answer.
        """
        try:
            normal = fields.uuid(server_id)
        except ValueError:
            raise instance_not_found(server_id) from None
        try:
            instance = await self._compute.find(normal, caller.sees)
        except InstanceNotFound:
            known = await self._compute.last_known(normal)
            # Only callers who may see the server get this error.  Others must not learn that the server exists.
            if known is not None and caller.sees(known):
                detail = f"compute host {known.host}, which last had the server, is not alive"
                raise ServiceUnavailable(detail) from None
            raise instance_not_found(server_id) from None
        # find() may also return a server that the caller may not see.  The error is 404 and not 403, as in nova: a 403
        # would reveal that there is such a server.
        if not caller.sees(instance):
            raise instance_not_found(server_id)
        return instance
