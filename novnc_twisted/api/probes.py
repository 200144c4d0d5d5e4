"""Health checks: answered without a token and, where they succeed, without a line in the log."""

from novnc_twisted.api.faults import Fault
from novnc_twisted.api.request import Reply, Request
from novnc_twisted.http.checks import HEALTH_PATH, HEALTHY

_HEALTH = (HEALTH_PATH.removeprefix("/"),)


def is_probe(request: Request) -> bool:
    """Whether this is what a load balancer sends to see whether the port answers.

    ``/healthz``; ``OPTIONS *`` and ``OPTIONS /`` (HAProxy's default); ``GET /`` and any HEAD.
    """
    return request.segments in (_HEALTH, ()) or request.method == "HEAD"


def answer(request: Request) -> Reply | None:
    """The answer to ``/healthz``, ``OPTIONS *`` and ``OPTIONS /``, which is the same for everybody; else None."""
    if request.segments == _HEALTH:
        if request.method in ("GET", "HEAD"):
            return Reply(200, HEALTHY)
        allow = (("Allow", "GET, HEAD"),)
        return Reply(405, Fault(405, "The method is not allowed for this resource.", allow).body(), allow)
    if request.method == "OPTIONS" and not request.segments:
        return Reply(204, None, (("Allow", "GET, HEAD, POST, OPTIONS"),))
    return None
