"""What the Compute API answers where it can't do what was asked (nova's ``api/openstack/wsgi.py``, ``Fault``)."""

from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from novnc_twisted.errors import (
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InvalidToken,
    Refusal,
    TokenMissing,
)

if TYPE_CHECKING:
    from novnc_twisted.events.records import RefusalCause

NAMES = {
    400: "badRequest",
    401: "unauthorized",
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
"""HTTP status -> nova's name of the fault; any other is a ``computeFault``."""

NOT_FOUND = "The resource could not be found."
UNEXPECTED = "Unexpected API Error. The log of the API tells more under this request's id."
UNAUTHENTICATED = "The request you have made requires authentication."


class Door(NamedTuple):
    """What the log says of a request that is refused before the API looks at what it asks for.

    :ivar cause: a short name, as ``LockedOut``.
    :ivar option: the option to change, with what to do; empty if no option helps.
    :ivar severe: whether it may keep out somebody who should be let in.
    """

    cause: "RefusalCause"
    option: str = ""
    severe: bool = False


class Fault(Exception):
    """An answer that is no success.

    :ivar code: the HTTP status.
    :ivar message: what the user is told; never a secret, always sent as JSON.
    :ivar headers: further headers of the answer.
    :ivar door: for the log, where the request is refused before the API looks at what it asks for.
    """

    def __init__(
        self, code: int, message: str, headers: tuple[tuple[str, str], ...] = (), door: Door | None = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.headers = headers
        self.door = door

    def body(self) -> dict[str, Any]:
        """The body in nova's form: ``{"<name>": {"code": N, "message": "..."}}``."""
        detail: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.code in (413, 429):
            detail["retryAfter"] = dict(self.headers).get("Retry-After", "0")
        return {NAMES.get(self.code, "computeFault"): detail}


class IdentityFault(Fault):
    """The same in Keystone's form, which is also what its middleware answers in front of nova."""

    def body(self) -> dict[str, Any]:
        """``{"error": {"code": N, "title": "...", "message": "..."}}``."""
        return {"error": {"code": self.code, "title": HTTPStatus(self.code).phrase, "message": self.message}}


def instance_not_found(server_id: str) -> Fault:
    """nova's 404 for a server that is not there, or is another project's."""
    return Fault(404, f"Instance {server_id} could not be found.")


def locked_out(seconds: float) -> Fault:
    """429: too many failed log-ins, for so long; clients show it, and those that come again by themselves know when."""
    wait = max(1, ceil(seconds))
    door = Door("LockedOut", "[api] lockout_failures and the options beside it", severe=True)
    return Fault(429, f"Too many failed log-ins. Try again in {wait} s.", (("Retry-After", str(wait)),), door)


def malformed(message: str) -> Fault:
    """400: what a client of this API does not send."""
    return Fault(400, message, door=Door("BadRequest"))


def not_admitted(cause: "RefusalCause", answered: str) -> Fault:
    """403: noauth does not answer such a request."""
    message = f"auth_strategy noauth answers {answered}. Set up http_basic."
    return Fault(403, message, door=Door(cause, "[api] auth_strategy"))


def too_many_log_ins() -> Fault:
    """503: too many passwords wait to be compared."""
    return Fault(503, "Too many people log in at the same time. Try again in a moment.", (("Retry-After", "5"),))


def overloaded(wait: int) -> Fault:
    """429: so many requests are in work that this one would be answered too late."""
    return Fault(429, f"Too many requests are in work. Try again in {wait} s.", (("Retry-After", str(wait)),))


def policy_refused(rule: str) -> Fault:
    """nova's 403 for a user who lacks a right."""
    return Fault(403, f"Policy doesn't allow {rule} to be performed.")


def unauthenticated(base_url: str) -> IdentityFault:
    """The 401 of Keystone's middleware.

    No Basic challenge: clients send Basic on their own, and a browser that was never asked keeps no password which a
    foreign page could use.
    """
    return IdentityFault(401, UNAUTHENTICATED, (("WWW-Authenticate", f'Keystone uri="{base_url}/identity"'),))


def fault_of(refusal: Refusal, *, server_id: str = "", console_type: str = "") -> Fault:
    """A refusal of the services behind, in nova's words where nova has some, else in our table's sentence."""
    status = refusal.api_status or 500
    if isinstance(refusal, InstanceNotFound) and server_id:
        return instance_not_found(server_id)
    if isinstance(refusal, ConsoleTypeUnavailable) and console_type:
        return Fault(status, f"Unavailable console type {console_type}.")
    if isinstance(refusal, InvalidToken | TokenMissing):
        return Fault(status, "Token not found")
    return Fault(status, refusal.sentence)
