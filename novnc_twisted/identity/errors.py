"""Errors of authentication, and Keystone's format of errors, in which the identity endpoints answer."""

from http import HTTPStatus
from math import ceil
from typing import Any, Final

from novnc_twisted.events.refused import RefusalCause
from novnc_twisted.http.errors import HTTPError, RefusalReason

UNAUTHENTICATED: Final = "The request you have made requires authentication."


def keystone_body(error: HTTPError) -> dict[str, Any]:
    """Return the body of an error in Keystone's format: ``{"error": {"code": N, "title": "...", "message": "..."}}``.

    The identity endpoints use this format for all errors, the other APIs only for a 401: in an OpenStack cloud, a 401
    comes from Keystone's middleware in front of nova.
    """
    return {"error": {"code": error.status, "title": HTTPStatus(error.status).phrase, "message": error.message}}


def unauthenticated(identity_url: str) -> HTTPError:
    """Make the 401 of Keystone's middleware.

    The response has no Basic challenge, because OpenStack clients do not need one.  With a challenge, a browser would
    store the password, and pages of other sites could use it.

    :param identity_url: where clients log in.
    """
    return HTTPError(401, UNAUTHENTICATED, (("WWW-Authenticate", f'Keystone uri="{identity_url}"'),))


def locked_out(seconds: float) -> HTTPError:
    """Make the 429 for a client with too many failed log-ins.

    :param seconds: until the next attempt is allowed.
    """
    wait = max(1, ceil(seconds))
    reason = RefusalReason("LockedOut", "[api] lockout_failures and the options beside it", severe=True)
    return HTTPError(429, f"Too many failed log-ins. Try again in {wait} s.", (("Retry-After", str(wait)),), reason)


def too_many_log_ins() -> HTTPError:
    """Make the 503 for a log-in while too many other passwords are being checked."""
    return HTTPError(503, "Too many people log in at the same time. Try again in a moment.", (("Retry-After", "5"),))


def too_many_tokens() -> HTTPError:
    """Make the 429 for a client with too many tokens that Keystone is validating at this moment.

    Only tokens without a cached answer of Keystone count.  All addresses in an IPv6 /64 count as one client.
    :class:`.FairShare` enforces the limits.
    """
    return HTTPError(429, "Too many tokens from your address are being validated. Try again.", (("Retry-After", "1"),))


def not_admitted(cause: RefusalCause, refused: str) -> HTTPError:
    """Make the 403 for a request that noauth does not admit.

    :param refused: the words after "does not accept" in the message, for example ``requests of proxies``.
    """
    message = f"auth_strategy noauth does not accept {refused}. Set up http_basic or keystone."
    return HTTPError(403, message, reason=RefusalReason(cause, "[api] auth_strategy"))
