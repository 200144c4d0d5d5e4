"""Health checks of load balancers and monitoring: ``OPTIONS`` and ``/healthz``."""

from typing import Final

from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response
from novnc_twisted.http.response_head import response_head

HEALTH_PATH: Final = "/healthz"
"""Answered on every HTTP port, without a token and without a log line."""

HEALTHY: Final = b"ok"

_HEALTH = (HEALTH_PATH.removeprefix("/"),)
_NO_STORE = (("Cache-Control", "no-store"),)


def check_response(head: RequestHead, allow: str, *, close: bool) -> bytes | None:
    """Return the whole response to a health check at a proxy; None if the request is not a health check.

    HAProxy's ``option httpchk`` sends ``OPTIONS`` by default.  ``OPTIONS`` is answered for every target, also for ``*``
    (RFC 9110, section 9.3.7).

    :param allow: the methods of this port, for the Allow field.
    :param close: whether the connection is closed after this response.
    """
    if head.method == "OPTIONS":
        return response_head(204, length=0, fields=(("Allow", allow), *_NO_STORE), close=close)
    if head.method not in ("GET", "HEAD") or head.target.partition("?")[0] != HEALTH_PATH:
        return None
    response = response_head(200, length=len(HEALTHY), fields=_NO_STORE, close=close)
    return response + HEALTHY if head.method == "GET" else response


def is_check(request: Request) -> bool:
    """Return whether a request looks like a health check of a load balancer.  A successful check is not logged.

    Such a request has the path ``/healthz`` or ``/``, or the method HEAD.  HAProxy's default is ``OPTIONS /``, and
    ``OPTIONS *`` has the path ``/`` here.
    """
    return request.segments in (_HEALTH, ()) or request.method == "HEAD"


def respond_to_check(request: Request) -> Response | None:
    """Return the response to GET or HEAD of ``/healthz``, ``OPTIONS *`` or ``OPTIONS /``; None for other requests."""
    if request.segments == _HEALTH and request.reads:
        return Response(200, HEALTHY)
    if request.method == "OPTIONS" and not request.segments:
        return Response(204, None, (("Allow", "GET, HEAD, POST, OPTIONS"),))
    return None
