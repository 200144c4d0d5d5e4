"""Errors of the Compute API in nova's words and format (nova's ``api/openstack/wsgi.py``, ``Fault``)."""

from typing import Any, Final

from novnc_twisted.errors import ConsoleTypeUnavailable, InstanceNotFound, InvalidToken, Refusal
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.identity.errors import keystone_body
from novnc_twisted.identity.users import Caller

NAMES: Final = {
    400: "badRequest",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""HTTP status -> nova's name of the fault; any other status is a ``computeFault``."""

UNEXPECTED: Final = "Unexpected API Error. The log of the API has the details under this request's id."


def fault_body(error: HTTPError) -> dict[str, Any]:
    """Return the body of an error in nova's format: ``{"<name>": {"code": N, "message": "..."}}``.

    A 401 has Keystone's format, because in an OpenStack cloud, Keystone's middleware in front of nova sends it.
    """
    if error.status == 401:
        return keystone_body(error)
    detail: dict[str, Any] = {"code": error.status, "message": error.message}
    # nova's overLimit fault repeats the Retry-After header in the body.
    if error.status in (413, 429):
        detail["retryAfter"] = dict(error.headers).get("Retry-After", "0")
    return {NAMES.get(error.status, "computeFault"): detail}


def instance_not_found(server_id: str) -> HTTPError:
    """Make nova's 404 for a server that does not exist, or belongs to another project."""
    return HTTPError(404, f"Instance {server_id} could not be found.")


def no_such_action(name: str) -> HTTPError:
    """Make nova's 400 for an action that does not exist.

    This API also sends it for an action that only other versions of the Compute API have.
    """
    return HTTPError(400, f"There is no such action: {name[:100]}")


def overloaded(wait: int) -> HTTPError:
    """Make the 429 for a request that could not be answered in time, because too many others are being processed."""
    message = f"Too many requests are being processed. Try again in {wait} s."
    return HTTPError(429, message, (("Retry-After", str(wait)),))


def policy_refused(rule: str) -> HTTPError:
    """Make nova's 403 for a user who lacks a right."""
    return HTTPError(403, f"Policy doesn't allow {rule} to be performed.")


def reads_only(caller: Caller) -> HTTPError:
    """Make the 403 for a caller who may only read (:attr:`.Caller.reads_only`)."""
    if caller.by_api_token:
        return HTTPError(403, "This API token may only read.")
    message = "A user with the role reader cannot open consoles or change anything. Ask for the role member."
    return HTTPError(403, message)


def error_of(refusal: Refusal, *, server_id: str = "", console_type: str = "") -> HTTPError:
    """Make the HTTP error for a refusal, with nova's sentence if nova has one, else with our own.

    :param server_id: the server in the request's path, for nova's sentence; empty: use our own sentence.
    :param console_type: the console type in the request, for nova's sentence; empty: use our own sentence.
    """
    status = refusal.api_status or 500
    if isinstance(refusal, InstanceNotFound) and server_id:
        return instance_not_found(server_id)
    if isinstance(refusal, ConsoleTypeUnavailable) and console_type:
        return HTTPError(status, f"Unavailable console type {console_type}.")
    if isinstance(refusal, InvalidToken):
        return HTTPError(status, "Token not found")
    return HTTPError(status, refusal.sentence)
