"""Locates the console of a token, and checks that its server still belongs to the project of the token."""

from novnc_twisted.consoleauth.places import Places
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.consoleauth.time_limit import TimeLimit
from novnc_twisted.contract.place import Place
from novnc_twisted.errors import ConsoleForbidden, Refusal, ServiceUnavailable


class TokenPlaces:
    """Locates the consoles of tokens.

    If a token is for one project (``TokenRecord.owner``), the project is checked at every use of the token, because a
    server may be given to another project.

    :param places: asks the compute hosts.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    async def locate(self, record: TokenRecord, limit: TimeLimit, *, reserve: float = 0.0) -> Place:
        """Return where a token's console is now.

        :param limit: the time limit of the calling method.
        :param reserve: seconds to leave for the calls that the calling method makes afterwards.
        :raises ConsoleForbidden: the server belongs to another project than that of the token, or to no project.
        :raises ServiceUnavailable: the token is for one project, and the host does not report the server's project.
        :raises Refusal: see :meth:`.Places.locate`.
        """
        info = record.connect_info
        place = await self._places.locate(
            info.instance_uuid, info.console_type, info.port, info.compute_host, limit, reserve=reserve
        )
        if record.owner is None:
            return place
        if place.owners is None:
            raise ServiceUnavailable(f"{place.compute_host} does not say which project the server belongs to")
        if record.owner not in place.owners:
            raise ConsoleForbidden(f"on {place.compute_host} the server belongs to another project than before")
        return place

    async def check_owner(self, record: TokenRecord, limit: TimeLimit) -> None:
        """Check that the server of a live session still belongs to the project of its token.

        Compute hosts publish their servers.  Hosts are asked only if a host published this server with another project
        or without a project.  The check fails only if the server's host answers that the server belongs to another
        project or to no project.

        :raises ConsoleForbidden: the server belongs to another project, or to no project.
        """
        if record.owner is None:
            return
        if await self._places.published_owner(record.connect_info.instance_uuid, record.owner):
            return
        try:
            await self.locate(record, limit)
        except ConsoleForbidden:
            raise
        except Refusal:
            # No host reported the project, for example because of an outage, which must not end a session.
            return
