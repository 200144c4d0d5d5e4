"""The version documents, which clients read first (nova's ``api/openstack/compute/versions.py``)."""

from typing import Any

from novnc_twisted.api.microversion import MAXIMUM, MINIMUM
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response

_LEGACY = {
    "id": "v2.0",
    "status": "SUPPORTED",
    "version": "",
    "min_version": "",
    "updated": "2011-01-21T11:33:21Z",
}
_CURRENT = {
    "id": "v2.1",
    "status": "CURRENT",
    "version": str(MAXIMUM),
    "min_version": str(MINIMUM),
    "updated": "2013-07-23T11:33:21Z",
}


def _self_link(request: Request, path: str) -> dict[str, str]:
    return {"rel": "self", "href": f"{request.base_url}/{path}/"}


def _media_types(version: str) -> list[dict[str, str]]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={version}"}]


def index(request: Request) -> Response:
    """Answer ``GET /`` with descriptions of the versions 2.0 and 2.1."""
    _get_only(request)
    return Response(
        200,
        {
            "versions": [
                {**_LEGACY, "links": [_self_link(request, "v2")]},
                {**_CURRENT, "links": [_self_link(request, "v2.1")]},
            ]
        },
    )


def choices(request: Request) -> Response:
    """Answer a request for an unknown version or API with status 300 and descriptions of the versions 2.0 and 2.1.

    As in nova, the response has no Location field.
    """
    _get_only(request)

    def choice(version: dict[str, str], path: str) -> dict[str, Any]:
        return {
            "id": version["id"],
            "status": version["status"],
            "links": [_self_link(request, path)],
            "media-types": _media_types("2" if path == "v2" else "2.1"),
        }

    return Response(300, {"choices": [choice(_LEGACY, "v2"), choice(_CURRENT, "v2.1")]})


def show(request: Request, path: str) -> Response:
    """Answer ``GET /v2.1`` or ``GET /v2`` with the description of this version."""
    _get_only(request)
    version = _LEGACY if path == "v2" else _CURRENT
    document = {
        **version,
        "links": [
            _self_link(request, path),
            {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
        ],
        "media-types": _media_types("2" if path == "v2" else "2.1"),
    }
    return Response(200, {"version": document})


def _get_only(request: Request) -> None:
    if not request.reads:
        raise HTTPError(405, "The method is not allowed for this resource.", (("Allow", "GET, HEAD"),))
