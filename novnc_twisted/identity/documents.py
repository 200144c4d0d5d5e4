"""The answers of the Identity v3 API: its version, and its tokens with the catalog of the services."""

from datetime import UTC, datetime
from typing import Any, Final

from novnc_twisted.identity.log_in_request import DOMAIN
from novnc_twisted.identity.users import Caller

REGION: Final = "RegionOne"

_INTERFACES: Final = ("public", "internal", "admin")


def version_document(base_url: str) -> dict[str, Any]:
    """Return the description of the API's one version.

    :param base_url: the URL of the server, as the client sees it.
    """
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url}/identity/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def token_document(base_url: str, caller: Caller, *, issued_at: float, expires_at: float) -> dict[str, Any]:
    """Return the description of a token.

    :param base_url: the URL of the server, as the client sees it.
    :param issued_at: Unix time in seconds.
    :param expires_at: Unix time in seconds.
    """
    name, project = caller.user, caller.project
    token: dict[str, Any] = {
        "methods": ["password"],
        "issued_at": _time(issued_at),
        "expires_at": _time(expires_at),
        "user": {"id": name, "name": name, "domain": DOMAIN, "password_expires_at": None},
        "roles": [{"id": role, "name": role} for role in (["admin", "member"] if caller.is_admin else ["member"])],
        "catalog": [
            _service("compute", "nova", f"{base_url}/v2.1"),
            _service("identity", "keystone", f"{base_url}/identity"),
            _service("image", "glance", f"{base_url}/image"),
            _service("console", "console", f"{base_url}/console/v1"),
        ],
    }
    if project is not None:
        token["project"] = {"id": project, "name": project, "domain": DOMAIN}
    return {"token": token}


def _service(kind: str, name: str, url: str) -> dict[str, Any]:
    """Return an entry of the catalog.  All three interfaces have the same URL."""
    where = {"url": url, "region": REGION, "region_id": REGION}
    endpoints = [{"interface": interface, "id": f"{kind}-{interface}", **where} for interface in _INTERFACES]
    return {"type": kind, "name": name, "id": kind, "endpoints": endpoints}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
