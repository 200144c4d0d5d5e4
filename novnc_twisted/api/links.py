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
    """The properties of a link that the caller chooses.

    :ivar console_type: one of ``CONSOLE_TYPES``; any other value is refused with HTTPError 400.
    :ivar mode: what the viewer may do: ``control`` or ``view``.
    :ivar expires_in: seconds for which the link is valid, at most ``[consoleauth] token_ttl``; None: ``token_ttl``.
    :ivar one_time: True: the link can be opened only once.  False: ``[consoleauth] one_time`` decides.
    """

    console_type: str
    mode: str = CONTROL
    expires_in: float | None = None
    one_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A console link.

    :ivar id: identifies the link in logs and traces; not secret; see :func:`novnc_twisted.access.tokens.link_id`.
    :ivar url: the address with the token, which is secret.
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

        :param vnc: False: the caller asked for another protocol than VNC, so the request is refused with 400.
        :raises HTTPError: no link was made.  400: the server does not offer this console type; 404: there is no such
            server, or the caller may not see it; 409: the server is stopped, or a migration has paused it, or its VNC
            port is not known yet; 502: another server claims the same VNC address, or another host also runs the
            server; 503: a service or a host does not answer.
        """
        console_type = terms.console_type
        try:
            instance = await self._inventory.find(caller, server_id)
            if not vnc or console_type not in CONSOLE_TYPES:
                raise HTTPError(400, f"Unavailable console type {console_type}.")
            # For an administrator without a project, use the project of the server.
            project = caller.project or instance.project_id
            console = await self._compute.get_vnc_console(instance.uuid, console_type, instance.host)
            info = replace(console.connect_info, user_id=caller.user, project_id=project, mode=terms.mode)
            info = replace(info, administrator=caller.is_admin)
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
    """Return the project to which a link is bound, or None.

    When the server no longer belongs to this project, the link becomes invalid.  None: the link is bound to no project.

    For a user, the result is the user's own project.  An administrator makes links for servers of all projects, so the
    result is the server's project: its id, or else its name; None if nova's metadata has neither.
    """
    if not caller.is_admin and caller.project:
        return caller.project
    return instance.project
