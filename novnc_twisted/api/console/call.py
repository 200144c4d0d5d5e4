"""A request to the console API, with its caller."""

from dataclasses import dataclass
from typing import Any

from novnc_twisted.access.display import one_line
from novnc_twisted.contract import fields
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.http.errors import HTTPError
from novnc_twisted.http.request import Request
from novnc_twisted.identity.users import Caller

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class ConsoleCall:
    """A request, and who makes it."""

    request: Request
    caller: Caller

    @property
    def owner(self) -> str | None:
        """The project whose servers the caller is limited to; None: the caller is an administrator.

        :raises HTTPError: 403: the caller belongs to no project, so that there is nothing that it may see.
        """
        if self.caller.is_admin:
            return None
        if not self.caller.project:
            raise HTTPError(403, "You belong to no project. Ask your administrator for one.")
        return self.caller.project

    def parameter(self, name: str, check: Any = fields.text) -> Any:
        """Return the value of a query parameter; None if it is missing or empty.

        :raises HTTPError: 400: its check refuses it.
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
        """Return why sessions are ended, with the name of the caller, for the log and the history."""
        name = one_line(self.caller.user, _LONGEST_REASON)
        return f"by {name}: {one_line(text, _LONGEST_REASON)}" if text else f"by {name}"


def named(cause: ServiceUnavailable) -> HTTPError:
    """Make the 503 that says which service did not answer."""
    return HTTPError(503, f"{cause.sentence} {cause.detail}." if cause.detail else cause.sentence)


def unanswered(topics: tuple[str, ...], effect: str) -> HTTPError:
    """Make the 503 for a change that some proxies did not confirm.

    :param effect: what is certain all the same.
    """
    return HTTPError(503, f"No answer of {', '.join(topics)[:500]}. {effect}")
