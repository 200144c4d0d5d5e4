"""Requests that are answered with an error status."""

from typing import NamedTuple

from novnc_twisted.events.records import RefusalCause, RequestRefused


class RefusalReason(NamedTuple):
    """What the log says of a request that is refused before an application looks at what it asks for.

    :ivar cause: a short name, as ``LockedOut``.
    :ivar option: the option to change, with what to do; empty if no option helps.
    :ivar severe: whether a user may be refused who should be admitted: logged as a warning.
    """

    cause: RefusalCause
    option: str = ""
    severe: bool = False


class HTTPError(Exception):
    """A request is answered with an error status.  The application decides on the format of the body.

    :ivar status: the HTTP status.
    :ivar message: a sentence for the client; never contains a secret.
    :ivar headers: further header fields of the response.
    :ivar reason: for the log, if the request is refused before the application looks at what it asks for.
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
        """Return the event of this refusal; None if the application looked at what the request asks for.

        :param service: the name of the server.
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
