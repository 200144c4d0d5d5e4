"""A small Keystone and a small nova-api: as much of both as a console proxy uses, on one loopback port."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.support.identity import Users

PASSWORD = "novapw-" + uuid.uuid4().hex[:8]


class FakeOpenStack(Resource):
    """Serves ``/identity/v3`` and ``/compute/v2.1``.

    :ivar consoles: what nova knows about each console token.
    :ivar servers: what nova knows about each server, by its UUID.
    :ivar places: the current host and port of each server's console, by UUID; default: those of its last token.
    :ivar may_read_servers: whether the access rules of the credentials include ``GET /servers``.
    :ivar may_make_consoles: likewise ``POST /servers/*/remote-consoles``.
    :ivar valid: the Keystone tokens that nova accepts.
    :ivar users: the users who log in at Keystone, and their tokens.
    :ivar may_validate: whether the credentials may validate tokens of others.
    :ivar requests: method, path and ``OpenStack-API-Version`` of every request.
    :ivar status: if set, nova answers every request with this HTTP status.
    :ivar silent: whether nova never answers.
    :ivar body: if set, gives the body of each of nova's answers, or writes it by itself and gives NOT_DONE_YET.
    :ivar identity_body: likewise for Keystone.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.consoles: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, dict[str, Any]] = {}
        self.places: dict[str, tuple[str, int]] = {}
        self.may_read_servers = True
        self.may_make_consoles = True
        self.valid: set[str] = set()
        self.users = Users()
        self.may_validate = True
        self.requests: list[tuple[str, str, str]] = []
        self.status = 0
        self.silent = False
        self.body: Callable[[Request], bytes | int] | None = None
        self.identity_body: Callable[[Request], bytes | int] | None = None
        self.port: Any = None

    @property
    def connections(self) -> int:
        """How many connections were made since it began to listen."""
        return len(self._site._channels)

    @classmethod
    def start(cls, test: TestCase, port: int = 0) -> "FakeOpenStack":
        """Listen until the test ends."""
        self = cls()
        self.listen(test, port)
        return self

    def listen(self, test: TestCase, port: int = 0) -> None:
        """Listen on a port of loopback."""
        self._site = site = _Site(self)
        self.port = reactor.listenTCP(port, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        test.addCleanup(self.stop)

    async def stop(self) -> None:
        """Stop listening, and end all connections."""
        port, self.port = self.port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
            await self._site.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.getHost().port}"

    def credentials(self, section: str = "service_user", **more: str) -> str:
        """The section of a nova.conf that contains these credentials."""
        options = {
            "auth_type": "password",
            "auth_url": f"{self.url}/identity/v3",
            "username": "nova",
            "password": PASSWORD,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            **more,
        }
        return "\n".join([f"[{section}]", *(f"{name} = {value}" for name, value in options.items()), ""])

    def add_console(self, port: int, *, host: str = "127.0.0.1", **server: Any) -> str:
        """Add a server whose VNC server listens there; return a console token for it."""
        token, identity = str(uuid.uuid4()), str(uuid.uuid4())
        self.consoles[token] = {
            "instance_uuid": identity,
            "host": host,
            "port": port,
            "tls_port": None,
            "internal_access_path": None,
        }
        self.servers[identity] = {
            "id": identity,
            "name": "myserver20",
            "status": "ACTIVE",
            "tenant_id": "red",
            "user_id": "alice",
            "OS-EXT-SRV-ATTR:instance_name": "instance-00000001",
            "OS-EXT-SRV-ATTR:host": "compute1",
            **server,
        }
        return token

    def render(self, request: Request) -> bytes | int:
        path = request.path.decode()
        version = request.getHeader("OpenStack-API-Version") or ""
        self.requests.append((request.method.decode(), path, version))
        request.setHeader("Content-Type", "application/json")
        if path.startswith("/identity"):
            if self.identity_body is not None:
                return self.identity_body(request)
            return json.dumps(self._identity(request, path)).encode()
        if self.silent:
            return NOT_DONE_YET
        if self.body is not None:
            return self.body(request)
        status, body = self._compute(request, path.removeprefix("/compute/v2.1"))
        request.setResponseCode(status)
        return json.dumps(body).encode()

    def _identity(self, request: Request, path: str) -> dict[str, Any]:
        if path != "/identity/v3/auth/tokens":
            links = [{"rel": "self", "href": f"{self.url}/identity/v3/"}]
            return {"version": {"id": "v3.14", "status": "stable", "links": links}}
        if request.method == b"GET":
            return self._validate(request)
        asked = json.load(request.content)["auth"]["identity"]  # type: ignore[arg-type]
        users_token = self.users.log_in(asked)
        if users_token is not None:
            request.setResponseCode(201)
            request.setHeader("X-Subject-Token", users_token)
            return self.users.tokens[users_token]
        given = asked.get("password", {}).get("user", {}).get("password")
        if given != PASSWORD and asked.get("application_credential", {}).get("secret") != PASSWORD:
            request.setResponseCode(401)
            return {"error": {"code": 401, "message": "The request you have made requires authentication."}}
        token = uuid.uuid4().hex
        self.valid.add(token)
        request.setResponseCode(201)
        request.setHeader("X-Subject-Token", token)
        endpoint = {"interface": "internal", "region": "RegionOne", "region_id": "RegionOne"}
        now = datetime.now(UTC)
        return {
            "token": {
                "methods": ["password"],
                "user": {"id": "nova", "name": "nova", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "service", "name": "service", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "admin", "name": "admin"}],
                "issued_at": now.isoformat().replace("+00:00", "Z"),
                "expires_at": (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
                "catalog": [
                    {
                        "type": "compute",
                        "name": "nova",
                        "id": "c",
                        "endpoints": [{**endpoint, "id": "e", "url": f"{self.url}/compute/v2.1"}],
                    }
                ],
            }
        }

    def _validate(self, request: Request) -> dict[str, Any]:
        """Keystone's response about the token in X-Subject-Token."""
        if request.getHeader("X-Auth-Token") not in self.valid:
            status, message = 401, "The request you have made requires authentication."
        elif not self.may_validate:
            status, message = 403, "You are not authorized to perform the requested action: identity:validate_token."
        else:
            found = self.users.tokens.get(request.getHeader("X-Subject-Token") or "")
            limited = found is not None and "access_rules" in found["token"].get("application_credential", {})
            if found is not None and (not limited or request.getHeader("OpenStack-Identity-Access-Rules")):
                return found
            status, message = 404, "Could not find token."
        request.setResponseCode(status)
        return {"error": {"code": status, "message": message}}

    def _compute(self, request: Request, path: str) -> tuple[int, dict[str, Any]]:
        if self.status:
            return self.status, {"error": {}}
        if request.getHeader("X-Auth-Token") not in self.valid:
            return 401, {"error": {"code": 401}}
        kind, _, name = path.strip("/").partition("/")
        if kind == "os-console-auth-tokens":
            found = self.consoles.get(name)
            return (200, {"console": found}) if found else (404, {"itemNotFound": {"message": "Token not found"}})
        identity, _, action = name.partition("/")
        if (kind, action) == ("servers", "remote-consoles") and request.method == b"POST" and self.may_make_consoles:
            return self._remote_console(identity)
        if kind == "servers" and not action and self.may_read_servers:
            found = self.servers.get(name)
            return (200, {"server": found}) if found else (404, {"itemNotFound": {"message": "not found"}})
        return 401, {"error": {"code": 401}}

    def _remote_console(self, identity: str) -> tuple[int, dict[str, Any]]:
        if identity not in self.servers:
            return 404, {"itemNotFound": {"message": "not found"}}
        last = [console for console in self.consoles.values() if console["instance_uuid"] == identity]
        host, port = self.places[identity] if identity in self.places else (last[-1]["host"], last[-1]["port"])
        token = str(uuid.uuid4())
        self.consoles[token] = {
            "instance_uuid": identity,
            "host": host,
            "port": port,
            "tls_port": None,
            "internal_access_path": None,
        }
        url = f"http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3D{token}"
        return 200, {"remote_console": {"protocol": "vnc", "type": "novnc", "url": url}}


class _Site(Site):
    """A Site that can close the connections that clients keep alive."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource)
        self._channels: set[Any] = set()

    def buildProtocol(self, addr: Any) -> Any:
        channel = super().buildProtocol(addr)
        self._channels.add(channel)
        return channel

    async def close(self) -> None:
        open_now = [channel for channel in self._channels if channel._channel.transport.connected]
        for channel in open_now:
            channel._channel.transport.abortConnection()
