"""The methods of other services that the API calls."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.console import Console
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.revocation import Revocation
from novnc_twisted.contract.screenshot import Screenshot
from novnc_twisted.contract.session_filter import SessionFilter


class IComputeAPI(Protocol):
    """The part of :class:`novnc_twisted.compute.rpcapi.ComputeAPI` that the API calls."""

    async def find(self, instance_uuid: str, visible: Callable[[Instance], bool], /) -> Instance:
        """Return a server, as its compute host reports it; raises InstanceNotFound, ServiceUnavailable.

        If several hosts report the server, a report in which it is active is preferred; among equal reports, one for
        which ``visible`` returns True.  Callers must check the result with ``visible``, which may still return False.
        """
        ...

    async def last_known(self, instance_uuid: str, /) -> Instance | None:
        """Return a server that a dead host published; its state is "unknown".  None: no dead host published it."""
        ...

    async def page(
        self,
        *,
        project: str | None = None,
        visible: Callable[[Instance], bool] = ...,
        wanted: Callable[[Instance], bool] = ...,
        name: str = "",
        marker: str | None = None,
        limit: int | None = None,
    ) -> tuple[Sequence[Instance], bool]:
        """Return a page of servers, and whether more follow.

        ``visible`` returns True for a server that the caller may see, ``wanted`` for one that passes the filters.

        Raises InstanceNotFound if the marker is not a visible server, ServiceUnavailable if no compute host answers.
        """
        ...

    async def get_vnc_console(self, instance_uuid: str, console_type: str, host: str | None, /) -> Console:
        """Return a new token for a server's console; it is valid only after :meth:`IConsoleAuthAPI.authorize_console`.

        ``host`` is the compute host that has the server; None: the method looks up the host.
        """
        ...

    async def change_power(self, instance: Instance, action: str, /) -> PowerReply:
        """Begin a power action on a server; raises InstanceNotFound, ServiceUnavailable."""
        ...

    async def get_screenshot(self, instance: Instance, kind: str, width: int | None, /) -> Screenshot:
        """Return a picture of a server's screen; raises InstanceNotFound, InstanceNotRunning, ServiceUnavailable."""
        ...


class IConsoleAuthAPI(Protocol):
    """The part of :class:`novnc_twisted.consoleauth.rpcapi.ConsoleAuthAPI` that the API calls."""

    async def authorize_console(
        self,
        token: str,
        connect_info: ConnectInfo,
        /,
        *,
        client_address: str | None = ...,
        owner: str | None = ...,
        expires_in: float | None = ...,
        one_time: bool = ...,
    ) -> float:
        """Register a token for a console; return the Unix time at which the token expires."""
        ...

    async def revoke(self, wanted: SessionFilter, reason: str = ..., /) -> Revocation:
        """Revoke tokens, and end their sessions on all proxies."""
        ...

    async def set_mode(self, token_hash: str, mode: str, /) -> Revocation:
        """Change what the viewers of a token may do."""
        ...

    async def history(
        self, wanted: HistoryQuery, /, *, limit: int, marker: str = ...
    ) -> tuple[list[EndedSession], str | None]:
        """Return ended sessions, newest first, and the marker of the next page; None: this is the last page."""
        ...

    async def show_token(self, token: str, /) -> dict[str, Any]:
        """Return the VM of a token, and the address of the VM's VNC server; raises InvalidToken."""
        ...
