"""An empty image service: ``openstack server list`` wants one to be there (facts of 5.8 to 7.4)."""

from novnc_twisted.api.faults import NOT_FOUND, Fault
from novnc_twisted.api.request import Reply, Request


def versions(request: Request) -> Reply:
    """``GET /image``: the one version."""
    link = {"rel": "self", "href": f"{request.base_url}/image/v2/"}
    return Reply(300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": [link]}]})


def show(request: Request, segments: tuple[str, ...]) -> Reply:
    """What is below it: no images."""
    if request.method not in ("GET", "HEAD") or segments != ("v2", "images"):
        raise Fault(404, NOT_FOUND)
    return Reply(200, {"images": [], "schema": "/v2/schemas/images", "first": "/v2/images"})
