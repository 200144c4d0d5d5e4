"""The table of refusals: every reason for which a console is refused, or a session ends.

Each class is one row of the table.  So a reason can be raised, caught by type, sent by name and shown to users.
Tables in the documents are generated from :data:`TABLE`.  The ``sentence`` of a class says what happened and, if the
user can do something, what to do next.  It has at most 123 bytes of UTF-8, the limit of a WebSocket close frame (RFC
6455, section 5.5).
"""

import re
from typing import ClassVar, Final

MAX_DETAIL: Final = 500
"""Maximum number of characters of a refusal's detail."""

# Control characters and line separators can forge log lines or control a terminal; direction overrides reorder the text
# that is shown; lone surrogates cannot be written to a log file.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Refusal(Exception):
    """The reason why a console is refused or a session ended.

    :cvar close_code: the WebSocket close code (RFC 6455, section 7.4; 4000-4999 are ours).
    :cvar status: the HTTP status of the XVP proxy's response; None if the proxy never sends this refusal.
    :cvar api_status: the HTTP status of the Compute API; None if the API never gives this refusal.
    :cvar sentence: the text for the user.
    :ivar detail: further information for the log; never a secret, and never sent to a viewer.  The console API shows it
        to administrators in the history, and to callers in some 503 errors.  Because the detail may come from another
        process, it is cleaned here for every log: one line of at most 500 characters, with ``?`` for each character
        that could forge a line or control a terminal.
    """

    close_code: ClassVar[int]
    status: ClassVar[int | None] = None
    api_status: ClassVar[int | None] = None
    sentence: ClassVar[str]

    def __init__(self, detail: str = "") -> None:
        # Nearly all details are short and plain ASCII, and this check costs less than the pattern.
        if not (len(detail) <= MAX_DETAIL and detail.isascii() and detail.isprintable()):
            # Cut first, to bound the time that the pattern takes.
            detail = _UNSAFE.sub("?", detail[:MAX_DETAIL])
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.detail}" if self.detail else type(self).__name__


class TokenMissing(Refusal):
    """The request contains no token."""

    close_code, status = 4401, 400
    sentence = "This console link is not valid or has expired. Open the whole link, with its token."


class InvalidToken(Refusal):
    """The token is unknown, used up or expired."""

    close_code, status, api_status = 4401, 401, 404
    sentence = "This console link is not valid or has expired. Ask for a new one (nova get-vnc-console gives one)."


class ConsoleForbidden(Refusal):
    """The token is valid, but not at this proxy, not from this address, or not for this action.

    The token is also refused if its server now belongs to another project.
    """

    close_code, status, api_status = 4403, 403, 403
    sentence = "This console link may not be used here. Ask for a link of your own, for this kind of viewer."


class InstanceNotFound(Refusal):
    """No live compute host knows the instance.

    If the host that last ran the instance is not alive, the cause is ServiceUnavailable instead.

    If nova's API checks the tokens: nova does not know the instance, or shows it as deleted.
    """

    close_code, status, api_status = 4404, 404, 404
    sentence = "This server no longer exists. Choose another server in your list."


class ConsoleTypeUnavailable(Refusal):
    """The instance has no VNC display, VNC is switched off on its host, or the console type is unknown."""

    close_code, status, api_status = 4404, 404, 400
    sentence = "This server has no VNC display. Its administrator can add one to it."


class InstanceNotRunning(Refusal):
    """The domain is stopped, a migration has paused it, or its VNC port is not known yet (-1).

    A domain that is paused for another reason has a console.  But the API cannot send keys to a paused domain, and
    answers with this refusal.
    """

    close_code, status, api_status = 4409, 409, 409
    sentence = "This server is not running. Start or resume it to use its console."


class ConsoleUnreachable(Refusal):
    """The VNC server is unreachable or silent, does not speak RFB, refuses the log-in, or belongs to another VM.

    This is also the cause if two running VMs claim the same VNC address, or if two hosts run the VM.
    """

    close_code, status, api_status = 4502, 502, 502
    sentence = "The console of this server can't be reached. Try again, or tell your administrator."


class ServiceUnavailable(Refusal):
    """A service such as consoleauth, Redis, nova or the compute host does not answer, or its answer is invalid.

    This is also the cause if the host that last ran the instance is not alive, or if a session fails because of a bug
    in the proxy.
    """

    close_code, status, api_status = 4503, 503, 503
    sentence = "The console service is not available. Try again in a moment."


class ConsoleClosed(Refusal):
    """The VNC server ended a live session."""

    close_code = 4504
    sentence = "The server closed the console. It may have been stopped; reconnect when it runs."


class IdleTimeout(Refusal):
    """The viewer sent no RFB data for idle_timeout seconds."""

    close_code = 4408
    sentence = "This console was idle for too long and was closed. Reconnect to go on."


class SessionExpired(Refusal):
    """The token of a live session has expired, and either enforce_session_timeout is on, or the viewer is a guest."""

    close_code = 4408
    sentence = "The time of this console session is over. Ask for a new console link."


class Revoked(Refusal):
    """A user or an operator revoked the token, or the instance is gone.

    A guest's token is also revoked when the link from which it was made is no longer valid.  If a token plug-in checks
    the tokens, a live session also ends with this cause when its token is no longer valid.
    """

    close_code, status = 4410, 410
    sentence = "This console session was revoked. Ask for a new console link if you still need it."


class TooManySessions(Refusal):
    """max_sessions is reached, or the VNC server accepts no more viewers."""

    close_code, status = 4429, 429
    sentence = "Too many consoles are open. Close one, then try again."


class TooManyForServer(TooManySessions):
    """max_sessions_per_server is reached."""

    sentence = "Too many consoles of this server are open. Close one, then try again."


class TooManyForUser(TooManySessions):
    """max_sessions_per_user is reached."""

    sentence = "You have too many consoles open. Close one, then try again."


class TooManyForProject(TooManySessions):
    """max_sessions_per_project is reached."""

    sentence = "Your project has too many consoles open. Close one, then try again."


class TooManyFromAddress(TooManySessions):
    """max_sessions_per_address is reached."""

    sentence = "Too many consoles are open from your address. Close one, then try again."


class TooManyFailures(Refusal):
    """This client address has reached max_failures_per_minute.

    As long as this is so, only one token from this address is checked at a time.  Tokens that arrive during such a
    check get this refusal.

    The noVNC proxy answers with the HTTP status 429 before the WebSocket upgrade.  So viewers never receive the close
    code.
    """

    close_code, status = 4429, 429
    sentence = "Too many failed attempts from your address. Wait a minute, then try again."


class ProtocolViolation(Refusal):
    """The client broke HTTP, WebSocket or RFB."""

    close_code, status = 1002, 400
    sentence = "Your viewer broke the protocol. Use a noVNC or XVP viewer."


class TextRefused(Refusal):
    """The client sent a WebSocket text message on a connection without the console page's channel.

    The channel is for JSON messages between the console page and the proxy, besides RFB.
    """

    close_code = 1003
    sentence = "This console takes binary messages only. Use a noVNC viewer."


class MessageTooBig(Refusal):
    """The client sent a message or an HTTP head that is longer than the limit."""

    close_code, status = 1009, 400
    sentence = "Your viewer sent a message that is too big."


class SetupTimeout(ProtocolViolation):
    """The client did not finish its part of the set-up in time."""

    sentence = "Your viewer did not answer in time. Reload to try again."


class Stopping(Refusal):
    """The proxy is being stopped."""

    close_code, status = 1001, 503
    sentence = "The console service is being restarted. Reconnect in a moment."


class WorkerLost(Refusal):
    """The process that had the session was killed or has crashed.

    The worker's supervisor process, or the next start of the proxy, reports the end of the session.  Viewers never
    receive this refusal, because their connection ends without a close frame.
    """

    close_code = Stopping.close_code
    sentence = Stopping.sentence


class ClientLeft(Refusal):
    """The viewer closed the connection, or the connection was lost.

    This is the usual end of a session, not a failure.
    """

    close_code = 1000
    sentence = "The console was closed."


def _rows(base: type[Refusal]) -> dict[str, type[Refusal]]:
    """Return the direct and indirect subclasses of a class, by their names."""
    rows: dict[str, type[Refusal]] = {}
    for row in base.__subclasses__():
        rows[row.__name__] = row
        rows.update(_rows(row))
    return rows


TABLE: dict[str, type[Refusal]] = _rows(Refusal)
"""Name of a class of refusals -> the class.  Services send this name to each other."""
