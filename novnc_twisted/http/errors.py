"""The exception for requests that are answered with an error status."""

from typing import NamedTuple

from novnc_twisted.events.refused import RefusalCause, RequestRefused


class RefusalReason(NamedTuple):
    """Why a request is refused before it reaches an API.  The reason is for the log.

    :ivar cause: a short name, such as ``LockedOut``.
    :ivar option: the option to change, and how to change it; empty if no option helps.
    :ivar severe: whether a legitimate user may be affected, so that the refusal is logged as a warning.
    """

    cause: RefusalCause
    option: str = ""
    severe: bool = False


class HTTPError(Exception):
    """An error status as the answer to a request.  The application decides on the format of the body.

    :ivar status: the HTTP status.
    :ivar message: a sentence for the client; never contains a secret.
    :ivar headers: further header fields of the response.
    :ivar reason: why the request is refused before it reaches an API; None for any other error.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: tuple[tuple[str, str], ...] = (),
        reason: RefusalReason | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = headers
        self.reason = reason

    def refusal(self, service: str, address: str) -> RequestRefused | None:
        """Return the event for this refusal; None if the error has no ``reason``.

        :param service: the service that refuses, such as ``consoleapi``.
        :param address: the client's address.
        """
        if self.reason is None:
            return None
        cause, option, severe = self.reason
        detail = self.message.removesuffix(".")
        return RequestRefused(
            service=service,
            cause=cause,
            address=address,
            detail=detail,
            option=option,
            status=self.status,
            severe=severe,
        )


def malformed(message: str) -> HTTPError:
    """Make a 400 for a request that cannot be read."""
    return HTTPError(400, message, reason=RefusalReason("BadRequest"))
