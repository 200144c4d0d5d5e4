"""New console links: the compute host creates the token and the URL, and consoleauth registers the token."""

from dataclasses import dataclass, field, replace

from novnc_twisted.access.tokens import hash_token, link_id
from novnc_twisted.api.backends import IComputeAPI, IConsoleAuthAPI
from novnc_twisted.api.errors import error_of
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.contract.connect_info import CONSOLE_TYPES
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.mode import CONTROL
from novnc_twisted.errors import Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.users import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTerms:
    """What a link is asked for.

    :ivar console_type: the type; HTTPError 400 unless it is one of ``CONSOLE_TYPES``.
    :ivar mode: what its viewer may do: ``control`` or ``view``.
    :ivar expires_in: seconds for which it is valid, at most ``[consoleauth] token_ttl``; None: ``token_ttl``.
    :ivar one_time: whether it opens one console once, whatever ``[consoleauth] one_time`` says.
    """

    console_type: str
    mode: str = CONTROL
    expires_in: float | None = None
    one_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A console link.

    :ivar id: names the link in logs and traces, and opens nothing; see :func:`novnc_twisted.access.tokens.link_id`.
    :ivar url: the address, which holds the token.
    :ivar expires_at: Unix time in seconds.
    """

    id: str
    url: str = field(repr=False)
    expires_at: float


class Links:
    """Makes links for the servers that a caller may see."""

    def __init__(self, inventory: Inventory, compute: IComputeAPI, consoleauth: IConsoleAuthAPI) -> None:
        self._inventory = inventory
        self._compute = compute
        self._consoleauth = consoleauth

    async def make(self, caller: Caller, server_id: str, terms: LinkTerms, *, vnc: bool = True) -> Link:
        """Make a link for a server.

        :param vnc: False: the console is for another protocol, which no server here has.
        :raises HTTPError: with nova's sentences for causes that the user can change.
        """
        console_type = terms.console_type
        try:
            instance = await self._inventory.find(caller, server_id)
            if not vnc or console_type not in CONSOLE_TYPES:
                raise HTTPError(400, f"Unavailable console type {console_type}.")
            # An administrator without a project makes the link for the server's own one.
            project = caller.project or instance.project_id
            console = await self._compute.get_vnc_console(instance.uuid, console_type, instance.host)
            info = replace(console.connect_info, user_id=caller.user, project_id=project, mode=terms.mode)
            expires_at = await self._consoleauth.authorize_console(
                console.token,
                info,
                owner=_owner(caller, instance),
                expires_in=terms.expires_in,
                one_time=terms.one_time,
            )
        except Refusal as refusal:
            raise error_of(refusal, server_id=server_id, console_type=console_type) from refusal
        return Link(id=link_id(hash_token(console.token)), url=console.access_url, expires_at=expires_at)


def _owner(caller: Caller, instance: Instance) -> str | None:
    """Return the project for which a link is made; the link ends when the server moves to another project.

    It is the project because of which the caller sees the server.  Administrators see all servers and make links for
    other users, so for them it is the server's own project.

    :return: None if the link stays valid whatever happens to the server's project.
    """
    if not caller.is_admin and caller.project:
        return caller.project
    return instance.project
