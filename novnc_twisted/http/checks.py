"""Requests by which load balancers and monitoring ask whether a port serves: ``OPTIONS`` and ``/healthz``."""

from dataclasses import dataclass
from typing import Final

from novnc_twisted.access.request_head import RequestHead
from novnc_twisted.http.request import Request
from novnc_twisted.http.response import Response

HEALTH_PATH: Final = "/healthz"
"""Answered on every HTTP port, without a token and without a log line."""

HEALTHY: Final = b"ok"

_HEALTH = (HEALTH_PATH.removeprefix("/"),)


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """The answer to a check.

    :ivar fields: header fields besides those that every response has.
    :ivar body: of a GET; the response to a HEAD has only its length.
    """

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def answer_check(head: RequestHead, allow: str) -> CheckAnswer | None:
    """Answer a health check; None if the request is something else.

    ``OPTIONS`` is what HAProxy's ``option httpchk`` sends by default.  It is answered for every target, ``*`` included
    (RFC 9110, section 9.3.7).

    :param allow: the methods of this port, for the Allow field.
    """
    if head.method == "OPTIONS":
        return CheckAnswer(204, (("Allow", allow), ("Cache-Control", "no-store")))
    if head.method in ("GET", "HEAD") and head.target.partition("?")[0] == HEALTH_PATH:
        return CheckAnswer(200, (("Cache-Control", "no-store"),), HEALTHY)
    return None


def is_check(request: Request) -> bool:
    """Whether a request looks like one of a load balancer; if it succeeds, it is not logged.

    These are ``/healthz``, ``OPTIONS *`` and ``OPTIONS /`` (HAProxy's default), ``GET /`` and any HEAD.
    """
    return request.segments in (_HEALTH, ()) or request.method == "HEAD"


def respond_to_check(request: Request) -> Response | None:
    """Answer ``/healthz``, ``OPTIONS *`` and ``OPTIONS /``; None if the request is something else."""
    if request.segments == _HEALTH and request.reads:
        return Response(200, HEALTHY)
    if request.method == "OPTIONS" and not request.segments:
        return Response(204, None, (("Allow", "GET, HEAD, POST, OPTIONS"),))
    return None
