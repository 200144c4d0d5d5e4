"""What nova's public API knows about console tokens and servers."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, read
from novnc_twisted.errors import InstanceNotFound, InvalidToken, ServiceUnavailable
from novnc_twisted.keystone.client import Answer

NO_SERVER: Final = "00000000-0000-0000-0000-000000000000"
"""The UUID of no server, to find out whether the credentials may read servers."""

_log: Final = Logger()


class Client(Protocol):
    """Sends requests to nova; see :class:`novnc_twisted.keystone.KeystoneClient`."""

    def request(self, method: str, path: str) -> "Deferred[Answer]":
        """Send a request to a path below nova's endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace(Record):
    """What ``os-console-auth-tokens`` returns for a token.

    :ivar instance_uuid: the server.
    :ivar host: the address of the VNC server when the token was made.
    :ivar port: its port.
    :ivar internal_access_path: a path for a CONNECT request before the RFB handshake.
    """

    instance_uuid: Annotated[str, fields.uuid]
    host: Annotated[str, fields.short_text]
    port: Annotated[int, fields.port]
    internal_access_path: Annotated[str | None, fields.text] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NovaServer:
    """A server, as nova shows it to an administrator.

    :ivar status: as ``ACTIVE``.
    :ivar name: the name that its owner gave to it.
    :ivar instance_name: the name of its libvirt domain, as ``instance-00000001``; empty if nova does not show it.
    :ivar compute_host: the ``host`` option of the compute service that runs it; empty if nova does not show it.
    :ivar project_id: its project.
    """

    status: str
    name: str
    instance_name: str
    compute_host: str
    project_id: str | None


class NovaAPI:
    """Asks nova about tokens and servers (``nova/api/openstack/compute/console_auth_tokens.py``, ``servers.py``).

    :param client: sends the requests.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.reads_servers: bool | None = None
        """Whether the credentials may read servers; None: not known yet."""

    async def look_up(self, token: str) -> TokenPlace:
        """Where the console of a token was when the token was made.

        :raises InvalidToken: nova does not know the token, or it has expired.
        :raises ServiceUnavailable: Keystone or nova does not answer, or refuses our credentials.
        """
        answer = await self._client.request("GET", f"/os-console-auth-tokens/{token}")
        if answer.status == 404:
            raise InvalidToken("nova does not know the token")
        body = _object(answer, "console", "GET /os-console-auth-tokens")
        return read(TokenPlace, body, "nova")

    async def server(self, uuid: str) -> NovaServer | None:
        """A server; None if the credentials may not read servers.

        :raises InstanceNotFound: there is no such server.
        :raises ServiceUnavailable: Keystone or nova does not answer.
        """
        if self.reads_servers is None:
            await self.find_rights()
        if not self.reads_servers:
            return None
        answer = await self._client.request("GET", f"/servers/{uuid}")
        if answer.status == 404:
            raise InstanceNotFound("nova has no such server")
        return _server(_object(answer, "server", "GET /servers"))

    async def find_rights(self) -> None:
        """Find out whether the credentials may read servers, and warn if they may not.

        :raises ServiceUnavailable: Keystone or nova does not answer.
        """
        answer = await self._client.request("GET", f"/servers/{NO_SERVER}")
        if answer.status in (401, 403):
            if self.reads_servers is None:
                _log.warn(
                    "nova refuses GET /servers to our credentials: neither the state of a server nor the name that its "
                    "screen reports is checked; add this path to the access rules of the application credential"
                )
            self.reads_servers = False
        elif answer.status in (200, 404):
            self.reads_servers = True
        else:
            raise ServiceUnavailable(f"nova answers GET /servers with HTTP status {answer.status}")


def _object(answer: Answer, name: str, request: str) -> dict[str, Any]:
    """The object of this name in an answer.

    :raises ServiceUnavailable: the answer is an error, or has no such object.
    """
    if answer.status in (401, 403):
        raise ServiceUnavailable(f"nova refuses {request} to our credentials (HTTP status {answer.status})")
    if answer.status != 200:
        raise ServiceUnavailable(f"nova answers {request} with HTTP status {answer.status}")
    found = answer.body.get(name) if isinstance(answer.body, dict) else None
    if not isinstance(found, dict):
        raise ServiceUnavailable(f"nova answers {request} without {name}")
    return found


def _server(body: dict[str, Any]) -> NovaServer:
    def text(name: str) -> str:
        return fields.usable_text(body.get(name)) or ""

    return NovaServer(
        status=text("status").upper(),
        name=text("name"),
        instance_name=text("OS-EXT-SRV-ATTR:instance_name"),
        compute_host=text("OS-EXT-SRV-ATTR:host"),
        project_id=text("tenant_id") or None,
    )
