"""Reads console tokens and servers from nova's public API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, read, record
from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    ServiceUnavailable,
)
from novnc_twisted.keystone.client import Answer

NO_SERVER: Final = "00000000-0000-0000-0000-000000000000"
"""A UUID that no server has.  Requests for this UUID show what the credentials may do."""

_MAX_TOKEN: Final = 255

_NEW_CONSOLE: Final = {"remote_console": {"protocol": "vnc", "type": "novnc"}}

_log: Final = Logger()


class Client(Protocol):
    """Sends requests to nova; see :class:`novnc_twisted.keystone.KeystoneClient`."""

    def request(self, method: str, path: str, *, json: Mapping[str, Any] | None = None) -> "Deferred[Answer]":
        """Send a request to a path below nova's endpoint."""


@record
class TokenPlace(Record):
    """What ``os-console-auth-tokens`` returns for a token.

    :ivar instance_uuid: the server.
    :ivar host: the address of the VNC server when the token was made.
    :ivar port: the port of the VNC server at that time.
    :ivar internal_access_path: a path for a CONNECT request before the RFB handshake.
    """

    instance_uuid: Annotated[str, fields.uuid]
    host: Annotated[str, fields.short_text]
    port: Annotated[int, fields.port]
    internal_access_path: Annotated[str | None, fields.text] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NovaServer:
    """A server, as nova shows it to an administrator.

    :ivar status: nova's status, such as ``ACTIVE``.
    :ivar name: the name that its owner gave to it.
    :ivar instance_name: the name of its libvirt domain, such as ``instance-00000001``; empty if nova does not show it.
    :ivar compute_host: the ``host`` option of the compute service that runs the server; empty if nova does not show it.
    :ivar project_id: its project.
    """

    status: str
    name: str
    instance_name: str
    compute_host: str
    project_id: str | None

    def is_where(self, other: "NovaServer") -> bool:
        """Return whether two answers of nova show the same VM on the same host."""
        return (self.compute_host, self.instance_name) == (other.compute_host, other.instance_name)


class NovaAPI:
    """Asks nova for tokens and servers (``nova/api/openstack/compute/console_auth_tokens.py``, ``servers.py``).

    :param client: sends the requests.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.reads_servers: bool | None = None
        """Whether the credentials may read servers; None: not known yet."""
        self.makes_consoles: bool | None = None
        """Whether the credentials may ask for a new token of any server; None: not known yet."""

    async def look_up(self, token: str) -> TokenPlace:
        """Return where the console of a token was when the token was made.

        :raises InvalidToken: nova does not know the token, it has expired, or it cannot be one of nova's.
        :raises ServiceUnavailable: Keystone or nova does not answer, or refuses our credentials.
        """
        if not is_path_segment(token):
            raise InvalidToken("it contains characters that are not in nova's tokens, or is too long")
        answer = await self._client.request("GET", f"/os-console-auth-tokens/{token}")
        if answer.status == 404:
            raise InvalidToken("nova does not know the token")
        body = _object(answer, "console", "GET /os-console-auth-tokens/TOKEN")
        return read(TokenPlace, body, "nova")

    async def server(self, uuid: str) -> NovaServer | None:
        """Return a server; None if the credentials may not read servers.

        :raises InstanceNotFound: there is no such server.
        :raises ServiceUnavailable: Keystone or nova does not answer.  Or nova answers 401 or 403 for this server,
            although the credentials may read other servers.
        """
        if not await self._may_read_servers():
            return None
        answer = await self._client.request("GET", f"/servers/{uuid}")
        if answer.status == 404:
            raise InstanceNotFound("nova has no such server")
        return _server(_object(answer, "server", "GET /servers/ID"))

    async def fresh_token(self, uuid: str) -> str | None:
        """Return a new token for a server, for :meth:`fresh_place`; None if the credentials do not permit it.

        To make the token, nova asks the server's compute host for the present address of the console.

        :raises InstanceNotFound: there is no such server, or its compute host does not have it.
        :raises ConsoleTypeUnavailable: the server has no VNC display.
        :raises InstanceNotRunning: the server has no screen in its present state.
        :raises ServiceUnavailable: Keystone, nova or the compute host does not answer.
        """
        if not await self._may_make_consoles():
            return None
        request = "POST /servers/ID/remote-consoles"
        answer = await self._client.request("POST", f"/servers/{uuid}/remote-consoles", json=_NEW_CONSOLE)
        if answer.status in (401, 403):
            # find_rights() asks about a server that does not exist.  If nova looks for the server before it applies the
            # operator's policy, find_rights() cannot notice that the policy forbids this request.
            self._found_consoles(allowed=False)
            return None
        if answer.status == 404:
            raise InstanceNotFound(f"nova answers {request} with HTTP status 404")
        if answer.status == 400:
            raise ConsoleTypeUnavailable(f"nova answers {request} with HTTP status 400")
        if answer.status == 409:
            raise InstanceNotRunning(f"nova answers {request} with HTTP status 409")
        return _token_of(_object(answer, "remote_console", request).get("url"))

    async def fresh_place(self, token: str) -> TokenPlace:
        """Return the place of the console for a token of :meth:`fresh_token`.

        :raises ServiceUnavailable: nova does not know the token, or does not answer.
        """
        try:
            return await self.look_up(token)
        except InvalidToken:
            raise ServiceUnavailable("nova does not know the token that it has just made") from None

    async def ping(self) -> None:
        """Request a server that does not exist, to check that nova answers.

        :raises ServiceUnavailable: Keystone or nova does not answer.
        """
        # A refusal counts as an answer: the credentials may lack the right to read servers.
        await self._may("GET", f"/servers/{NO_SERVER}")

    async def find_rights(self) -> None:
        """Find out whether the credentials have the rights that we need, and warn once if a right is missing.

        The right to request consoles is used only together with the right to read servers.  Therefore it is checked
        only if the credentials may read servers.

        :raises ServiceUnavailable: Keystone or nova does not answer.
        """
        if await self._may_read_servers():
            await self._may_make_consoles()

    async def _may_read_servers(self) -> bool:
        if self.reads_servers is None:
            allowed = await self._may("GET", f"/servers/{NO_SERVER}")
            # If another call has stored the answer in the meantime, that call has also logged the warning.
            if self.reads_servers is None:
                self.reads_servers = allowed
                if not allowed:
                    _log.warn(
                        "our credentials may not read servers from nova (GET /servers/ID): the state of a server, and "
                        "the name that its VNC server sends, are not checked, and sessions do not survive a migration; "
                        "add a rule for this request to the access rules of the application credential"
                    )
        return self.reads_servers

    async def _may_make_consoles(self) -> bool:
        if self.makes_consoles is None:
            allowed = await self._may("POST", f"/servers/{NO_SERVER}/remote-consoles", _NEW_CONSOLE)
            # In the meantime, fresh_token() may have stored nova's answer about a real server.  That answer is better.
            if self.makes_consoles is None:
                self._found_consoles(allowed=allowed)
        return bool(self.makes_consoles)

    def _found_consoles(self, *, allowed: bool) -> None:
        """Record whether the credentials may request consoles; warn if they may not and this was not known before."""
        if not allowed and self.makes_consoles is not False:
            _log.warn(
                "our credentials may not request consoles from nova (POST /servers/ID/remote-consoles): a console is "
                "not found after its server has moved; add a rule for this request to the access rules of the "
                "application credential"
            )
        self.makes_consoles = allowed

    async def _may(self, method: str, path: str, json: Mapping[str, Any] | None = None) -> bool:
        """Return whether nova seems to permit a request.

        The request is about a server that does not exist.  If the access rules of the credentials forbid the request,
        the answer is 401 or 403, else 404.  If nova looks for the server before it applies the operator's policy, a
        policy that forbids the request is not noticed: see :meth:`fresh_token`.
        """
        answer = await self._client.request(method, path, json=json)
        if answer.status in (401, 403):
            return False
        if answer.status in (200, 404):
            return True
        raise ServiceUnavailable(f"nova answers {method} {path} with HTTP status {answer.status}")


def is_path_segment(token: str) -> bool:
    """Return whether a token has 1 to 255 characters, all of them ASCII letters, digits, ``-`` or ``_``.

    These characters need no encoding in a URL path (RFC 3986, section 2.3), and nova's tokens are UUIDs.  With "../" or
    "?" a token could name another resource of nova.  A longer token is refused here, because an HTTP server's error for
    a very long path would look like an outage of nova.
    """
    return (
        0 < len(token) <= _MAX_TOKEN and token.isascii() and all(letter.isalnum() or letter in "-_" for letter in token)
    )


def _token_of(url: Any) -> str:
    """Return the token in a console URL of nova, such as ``http://HOST/vnc.html?token=T`` or ``?path=%3Ftoken%3DT``.

    The token is an argument of the URL, or the argument ``path`` of the URL is a path with the argument ``token``.

    :raises ServiceUnavailable: there is no token.
    """
    try:
        query = parse_qs(urlsplit(url).query if isinstance(url, str) else "")
        for path in query.get("path", []):
            query |= parse_qs(urlsplit(path).query)
        return query["token"][-1]
    except (ValueError, KeyError):
        raise ServiceUnavailable("nova answers POST /servers/ID/remote-consoles without a token") from None


def _object(answer: Answer, name: str, request: str) -> dict[str, Any]:
    """Return the object with this name from an answer.

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
