"""A request to the console API, with its caller."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from novnc_twisted.access.display import one_line
from novnc_twisted.contract import fields
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller

_LONGEST_REASON = 300

_CREDENTIALS = ("authorization", "x-auth-token", "cookie")

Credentials = tuple[str | tuple[str, ...], ...]
"""See :attr:`ConsoleCall.credentials`."""


@dataclass(frozen=True, slots=True)
class ConsoleCall:
    """A request, and who makes it.

    :ivar again: authenticates the request again; fails if the log-in has ended.  Only used for a stream of events,
        which may outlive the log-in.
    """

    request: Request
    caller: Caller
    again: Callable[[], Awaitable[Caller]]

    @property
    def credentials(self) -> Credentials:
        """The values on which the authentication depends: the client's address (for lock-outs), and header fields.

        Calls with the same caller and the same values can share one check of the log-in.
        """
        headers = self.request.headers
        return self.request.client, *(tuple(headers.get(name, ())) for name in _CREDENTIALS)

    @property
    def owner(self) -> str | None:
        """The only project whose servers the caller may see; None: the caller is an administrator and sees all.

        :raises HTTPError: 403: the caller belongs to no project, and so may see no server.
        """
        if self.caller.is_admin:
            return None
        if not self.caller.project:
            raise HTTPError(403, "You belong to no project. Ask your administrator for one.")
        return self.caller.project

    def parameter(self, name: str, check: Any = fields.text) -> Any:
        """Return the value of a query parameter; None if it is missing or empty.

        :param check: returns the checked value, or raises ValueError with a text such as "not a number".
        :raises HTTPError: 400: the check refuses the value.
        """
        value = self.request.parameter(name)
        if not value:
            return None
        try:
            return check(value)
        except ValueError as error:
            raise HTTPError(
                400, f"Invalid input for query parameter {name}. Value: {value[:100]}. It is {error}"
            ) from None

    def reason(self, text: str | None) -> str:
        """Return the reason for ending sessions or revoking tokens, with :attr:`.Caller.user`, for log and history.

        :param text: the reason that the caller gave; None: the caller gave no reason.
        """
        name = one_line(self.caller.user, _LONGEST_REASON)
        return f"by {name}: {one_line(text, _LONGEST_REASON)}" if text else f"by {name}"


def service_unavailable(cause: ServiceUnavailable) -> HTTPError:
    """Make a 503 error that names the service that did not answer."""
    return HTTPError(503, f"{cause.sentence} {cause.detail}." if cause.detail else cause.sentence)


def unanswered(topics: tuple[str, ...], effect: str) -> HTTPError:
    """Make a 503 error for a change that some proxies did not confirm.

    :param effect: sentences that say what was changed nevertheless, and what these proxies will do later.
    """
    return HTTPError(503, f"No answer from {', '.join(topics)[:500]}. {effect}")
