"""The protocol of novncproxy and xvpvncproxy: reads an HTTP head with a deadline, then responds or begins a session."""

from novnc_twisted.access.failures import Check
from novnc_twisted.access.forwarded import UNKNOWN
from novnc_twisted.access.request_head import BadHead, HeadBuffer, HeadTooBig, RequestHead, read_request
from novnc_twisted.errors import (
    MessageTooBig,
    ProtocolViolation,
    Refusal,
    SetupTimeout,
    Stopping,
    TooManyFailures,
)
from novnc_twisted.frontend.connection import FrontConnection
from novnc_twisted.frontend.viewer import FrontViewer
from novnc_twisted.relay.stream_end import StreamEnd


class FrontProtocol(FrontConnection):
    """A connection that receives HTTP heads, and answers each head or becomes a session.

    :ivar requests: number of heads that this connection has awaited, including the present one.
    """

    requests = 0

    def await_head(self) -> None:
        """Wait for a head.  The deadline is for the whole head, so a client that sends slowly gains no time."""
        self.accepted_at = self.factory.reactor.seconds()
        self.requests += 1
        self._buffer = HeadBuffer()
        self.busy = False
        self.slot.silent(self.make_room)
        self.set_deadline(self.factory.settings.head_deadline, self.head_is_late)

    def waits_for_request(self, *, first: bool) -> bool:
        """See FrontConnection."""
        return self.end is None and not self.busy and (first or self.requests > 1)

    def head_is_late(self) -> None:
        """Close a silent connection without a response; refuse a head that is incomplete."""
        if self._buffer.empty:
            # With empty data, send_final_response() only closes the connection.  hang_up() would reset the connection.
            self.send_final_response(b"", Stopping())
        else:
            self.bad_head(SetupTimeout("the head did not come in time"))

    def dataReceived(self, data: bytes) -> None:
        """See Protocol.

        Once a session or a final response has begun, ``end`` gets every byte.  Before that, the bytes belong to a head;
        bytes that arrive while a request is being answered are an error.
        """
        if self.end is not None:
            self.end.dataReceived(data)
            return
        if self.busy:
            self.unexpected(data)
            return
        try:
            raw = self._buffer.receive(data)
            if raw is None:
                return
            # Set before the head is handled: no other request is accepted until the answer is complete.
            self.busy = True
            # While the request is answered, the connection must not be closed to make room for another connection.
            self.slot.busy()
            self.set_deadline(None)
            head = read_request(raw)
        except HeadTooBig as error:
            self.bad_head(MessageTooBig(str(error)))
        except BadHead as error:
            self.bad_head(ProtocolViolation(str(error)))
        else:
            self.head_received(head, self._buffer.rest)

    def begin_check(self, token: str | None, address: str) -> Check | None:
        """Begin the check of a token.

        :return: the check.  None: too many failed guesses came from this address, and another token from this address
            is being checked.  In this case, the observer has been notified, and the caller must send the refusal.
        """
        if not token:
            return Check()  # a request without a token does not count as a guess
        failures = self.factory.failures
        check = failures.begin_check(address or UNKNOWN)
        if check is None:
            self.refused(
                "TooManyFailures",
                address,
                TooManyFailures.status,
                f"at least {failures.limit} failed guesses of a token came from this address in a minute, and another "
                "token from this address is being checked",
                "[console] max_failures_per_minute, or trusted_proxies, if the address is that of a reverse proxy",
            )
        return check

    def begin(self, kind: type[FrontViewer], end: StreamEnd, token: str | None, address: str, check: Check) -> None:
        """Begin a session on ``end``, after :meth:`become` was called with it.

        :param address: the client's address; empty if it is not known (a unix socket).
        """
        viewer = kind(
            end,
            token,
            address or UNKNOWN,
            slot=self.slot,
            make_room=self.make_room,
            failures=self.factory.failures,
            check=check,
        )
        self.factory.registry.begin(viewer, self.accepted_at)

    # Each proxy implements head_received() and bad_head().

    def head_received(self, head: RequestHead, rest: bytes) -> None:
        """Answer a request, or begin a session.

        :param rest: the bytes that arrived behind the head.
        """
        raise NotImplementedError

    def bad_head(self, cause: Refusal) -> None:
        """Refuse a head that is malformed, too long or too late."""
        raise NotImplementedError

    def unexpected(self, data: bytes) -> None:
        """Report bytes that arrive while a request is being answered, and close the connection."""
        self.refused("BadRequest", self.peer_address, None, "bytes came before the previous request was answered")
        self.hang_up()
