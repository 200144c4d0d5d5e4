"""An image service without images, which ``openstack server list`` of python-openstackclient 5.8 to 7.4 needs."""

from typing import Final

from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.routing import NOT_FOUND

PATHS: Final = ("image", "image/v2/images")
"""All paths of this service."""


def versions(request: Request) -> Response:
    """Answer ``GET /image`` with the only version."""
    link = {"rel": "self", "href": f"{request.base_url}/image/v2/"}
    return Response(300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": [link]}]})


def show(request: Request, segments: tuple[str, ...]) -> Response:
    """Answer ``GET /image/v2/images`` with an empty list.

    :param segments: the path segments after ``image``.
    :raises HTTPError: 404 for any other request.
    """
    if not request.reads or segments != ("v2", "images"):
        raise HTTPError(404, NOT_FOUND)
    return Response(200, {"images": [], "schema": "/v2/schemas/images", "first": "/v2/images"})
