"""What the API asks of the services behind it."""

from collections.abc import Sequence
from typing import Any, Protocol

from novnc_twisted.api.call import Instance


class IComputeAPI(Protocol):
    """What is used of :class:`novnc_twisted.compute.rpcapi.ComputeAPI`."""

    async def hosts(self) -> Sequence[Any]:
        """The live compute hosts."""
        ...

    async def find(self, instance_uuid: str, /) -> Instance:
        """A domain, wherever it is; InstanceNotFound, ServiceUnavailable."""
        ...

    async def last_known(self, instance_uuid: str, /) -> Instance | None:
        """What a host that is not alive published of a domain."""
        ...

    async def list_instances(self) -> Sequence[Instance]:
        """The domains of all hosts; of those that do not answer, as they published them."""
        ...

    async def get_vnc_console(
        self, instance_uuid: str, console_type: str, user_id: str | None, project_id: str | None, /
    ) -> dict[str, Any]:
        """A new console of a domain: its token, access_url and where it is."""
        ...


class IConsoleAuthAPI(Protocol):
    """What is used of :class:`novnc_twisted.consoleauth.rpcapi.ConsoleAuthAPI`."""

    async def authorize_console(self, token: str, /, **arguments: Any) -> Any:
        """Make a token valid."""
        ...

    async def show_token(self, token: str, /) -> dict[str, Any]:
        """Where a token leads to; InvalidToken."""
        ...
