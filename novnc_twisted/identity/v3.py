"""The smallest Identity v3 that unmodified clients log in to, at ``/identity``."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND
from novnc_twisted.identity.errors import unauthenticated
from novnc_twisted.identity.strategy import IAuth
from novnc_twisted.identity.tokens import TOKEN_TTL, Tokens
from novnc_twisted.identity.users import User

REGION = "RegionOne"
_INTERFACES = ("public", "internal", "admin")
_DOMAIN = {"id": "default", "name": "Default"}
_NO_TOKEN = "notused"  # noqa: S105 - what keystoneauth's "none" sends; noauth reads no token


class IdentityAPI:
    """Version documents, and tokens for the users of the strategy."""

    def __init__(self, auth: IAuth, tokens: Tokens, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._auth = auth
        self._tokens = tokens

    async def handle(self, request: Request, segments: tuple[str, ...]) -> Response:
        """Answer a request below ``/identity``.

        :raises HTTPError: in Keystone's form.
        """
        get = request.reads
        if segments in ((), ("v3",)):
            if not get:
                raise HTTPError(405, "The method is not allowed.", (("Allow", "GET, HEAD"),))
            version = _version(request)
            return (
                Response(200, {"version": version}) if segments else Response(300, {"versions": {"values": [version]}})
            )
        if segments == ("v3", "auth", "tokens"):
            if request.method == "POST":
                return await self._log_in(request)
            if get:
                return await self._show(request)
            raise HTTPError(405, "The method is not allowed.", (("Allow", "GET, HEAD, POST"),))
        raise HTTPError(404, NOT_FOUND)

    async def _log_in(self, request: Request) -> Response:
        name, password, scope = _credentials(request.json())
        user = None
        if name is not None and password is not None:
            user = await self._auth.log_in(name, password, request.client)
        if user is None:
            raise unauthenticated(request.base_url)
        project = _scope(user, scope)
        if project is False:
            raise unauthenticated(request.base_url)
        if self._auth.tokens:
            token, expires = await self._tokens.issue(user, project)
        else:
            token, expires = _NO_TOKEN, self._now() + TOKEN_TTL
        body = self._token(request, user.name, project, user.is_admin, expires)
        return Response(201, body, (("X-Subject-Token", token), ("Vary", "X-Auth-Token")))

    async def _show(self, request: Request) -> Response:
        """A token shows itself: what a client does to learn its own scope."""
        caller = await self._auth.caller(request, self._tokens.read)
        subject = request.header("x-subject-token")
        if caller is None or subject is None:
            raise unauthenticated(request.base_url)
        if self._auth.tokens:
            found = await self._tokens.read(subject)
            if found is None or (found[0].user != caller.user and not caller.is_admin):
                raise HTTPError(404, "Could not find token.")
            caller, expires = found
        else:
            expires = self._now() + TOKEN_TTL
        body = self._token(request, caller.user, caller.project, caller.is_admin, expires)
        return Response(200, body, (("X-Subject-Token", subject), ("Vary", "X-Auth-Token")))

    def _token(self, request: Request, name: str, project: str | None, admin: bool, expires: float) -> dict[str, Any]:
        base = request.base_url
        token: dict[str, Any] = {
            "methods": ["password"],
            "issued_at": _time(self._now()),
            "expires_at": _time(expires),
            "user": {"id": name, "name": name, "domain": _DOMAIN, "password_expires_at": None},
            "roles": [{"id": role, "name": role} for role in (["admin", "member"] if admin else ["member"])],
            "catalog": [
                _service("compute", "nova", f"{base}/v2.1"),
                _service("identity", "keystone", f"{base}/identity"),
                _service("image", "glance", f"{base}/image"),
            ],
        }
        if project is not None:
            token["project"] = {"id": project, "name": project, "domain": _DOMAIN}
        return {"token": token}


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{request.base_url}/identity/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _service(kind: str, name: str, url: str) -> dict[str, Any]:
    """A service of the catalogue; clients of all three interfaces get the one URL that there is."""
    where = {"url": url, "region": REGION, "region_id": REGION}
    endpoints = [{"interface": interface, "id": f"{kind}-{interface}", **where} for interface in _INTERFACES]
    return {"type": kind, "name": name, "id": kind, "endpoints": endpoints}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise HTTPError(400, f"Expecting to find {name} in the request body.")
    return found


def _credentials(body: Any) -> tuple[str | None, str | None, Any]:
    """Name, password and scope of Keystone's ``auth`` object.

    :raises HTTPError: 400 where it is none.
    """
    auth = _object(body, "auth")
    identity = _object(auth, "identity")
    if identity.get("methods") != ["password"]:
        return None, None, None
    user = _object(_object(identity, "password"), "user")
    name, password = user.get("name", user.get("id")), user.get("password")
    if not isinstance(name, str) or not isinstance(password, str) or not _default(user.get("domain", _DOMAIN)):
        return None, None, None
    return name, password, auth.get("scope")


def _default(domain: Any) -> bool:
    if not isinstance(domain, dict):
        return False
    return domain.get("id") == _DOMAIN["id"] or str(domain.get("name")).lower() == "default"


def _scope(user: User, scope: Any) -> Any:
    """The project that a log-in is for: the user's own, for an admin any or none; False where it may not be."""
    if scope is None or scope == "unscoped":
        return user.project
    project = scope.get("project") if isinstance(scope, dict) else None
    if not isinstance(project, dict):
        return None if user.is_admin and isinstance(scope, dict) and "system" in scope else False
    name = project.get("name", project.get("id"))
    if not isinstance(name, str) or not name or not _default(project.get("domain", _DOMAIN)):
        return False
    return name if user.may_scope_to(name) else False
