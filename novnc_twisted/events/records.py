"""The events: one immutable record for each kind of event.

No field holds a token, a token's hash or a password.  Texts may quote clients and other hosts: each is cleaned when its
event is made (one line, bounded, tokens replaced by ``***``), so that every observer may write it down.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from novnc_twisted.access.display import clean

RefusalCause: TypeAlias = Literal[
    "BadProxyHeader",
    "BadRequest",
    "BodyTooBig",
    "Browser",
    "ForeignOrigin",
    "ForeignPage",
    "HeadTimeout",
    "HeadTooBig",
    "LockedOut",
    "NotATrustedProxy",
    "NotLocal",
    "PlainText",
    "ReverseProxy",
    "TLSFailed",
    "TooManyConnections",
    "TooManyFailures",
]
"""Why a request is refused before there is a session; docs/operations has a row for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused:
    """A connection or a request was refused before it became a session or reached the API.

    :cvar event: the name of this kind of event.
    :ivar service: the service that refused it: ``novncproxy``, ``xvpvncproxy``, ``consoleapi``; ``proxies`` for a limit
        that both proxies share.
    :ivar cause: why, as one word.
    :ivar address: the client's address; empty for a unix socket.
    :ivar detail: what happened, in words.
    :ivar option: the option to change, with what to do; empty if no option helps.
    :ivar status: the HTTP status that was sent; None if the connection was closed without a response.
    :ivar severe: whether a legitimate client may have been refused: logged as a warning.
    """

    event: ClassVar[str] = "request_refused"

    service: str
    cause: RefusalCause
    address: str
    detail: str = ""
    option: str = ""
    status: int | None = None
    severe: bool = False

    def __post_init__(self) -> None:
        _clean(self, "address", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBlocked:
    """The page was requested for a frame in which the browser will not show it, by ``frame_ancestors``.

    :cvar event: the name of this kind of event.
    :ivar service: ``novncproxy``.
    :ivar address: the client's address; empty for a unix socket.
    :ivar origin: the origin of the framing page; ``another site`` where the browser does not name it.
    :ivar option: the option to change.
    """

    event: ClassVar[str] = "frame_blocked"

    service: str
    address: str
    origin: str
    option: str = ""

    def __post_init__(self) -> None:
        _clean(self, "address", "origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConsoleEvent:
    """What the events about one console have in common; a text that is unknown is empty.

    :ivar console_type: ``novnc`` or ``xvpvnc``.
    :ivar address: the client's address, by the rules of ``trusted_proxies``.
    :ivar user_id: the user who asked for the token.
    :ivar project_id: the project of that user's request.
    :ivar instance_uuid: the server.
    :ivar instance_name: its name.
    :ivar link_id: the same for all events about one token; see :func:`novnc_twisted.access.tokens.link_id`.
    """

    console_type: str = ""
    address: str = ""
    user_id: str = ""
    project_id: str = ""
    instance_uuid: str = ""
    instance_name: str = ""
    link_id: str = ""

    def __post_init__(self) -> None:
        _clean(self, "address", "user_id", "project_id", "instance_uuid", "instance_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(_ConsoleEvent):
    """A session is live: the viewer and the VNC server are connected.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar peer: the other side of the viewer's connection, which may be a reverse proxy.
    :ivar seconds: from accepting the connection until now.
    :ivar phases: the phases of the set-up in their order, each with its seconds: token, dial, access path (where there
        is one), login, offer.
    :ivar mode: what the viewer may do: ``control`` or ``view``.
    """

    event: ClassVar[str] = "session_opened"

    session_id: str = ""
    peer: str = ""
    seconds: float = 0.0
    phases: tuple[tuple[str, float], ...] = ()
    mode: str = ""

    def __post_init__(self) -> None:
        _clean(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(_ConsoleEvent):
    """A session has ended, in whatever phase it was; every session has exactly one such event.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar cause: the name of the :class:`~novnc_twisted.errors.Refusal` that ended it.
    :ivar close_code: the WebSocket close code of that cause.
    :ivar detail: what the log says besides the cause.
    :ivar phase: the phase that it had reached: token, dial, access path, login, offer, live.
    :ivar peer: the other side of the viewer's connection, which may be a reverse proxy.
    :ivar seconds: from accepting the connection until the end.
    :ivar bytes_in: bytes of RFB from the viewer.
    :ivar bytes_out: bytes of RFB to the viewer.
    :ivar phases: the phases of a set-up that was refused, as in :class:`SessionOpened`; empty for a live session.
    """

    event: ClassVar[str] = "session_closed"

    session_id: str = ""
    cause: str
    close_code: int
    detail: str = ""
    phase: str
    peer: str = ""
    seconds: float
    bytes_in: int = 0
    bytes_out: int = 0
    phases: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        _clean(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "peer", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged(_ConsoleEvent):
    """What the viewer of a live session may do was changed.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar mode: ``control`` or ``view``, from now on.
    """

    event: ClassVar[str] = "session_changed"

    session_id: str = ""
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerAction(_ConsoleEvent):
    """A user asked for a power action on a server; ``console_type`` is empty if it was through the API.

    :cvar event: the name of this kind of event.
    :ivar action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
    :ivar cause: why it was refused; empty if it was begun.
    """

    event: ClassVar[str] = "power_action"

    action: str
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenshotTaken(_ConsoleEvent):
    """A user of the API asked for a picture of a server's screen; ``console_type`` is empty.

    :cvar event: the name of this kind of event.
    :ivar size: bytes of the picture; 0 if it was refused.
    :ivar cause: why it was refused; empty if it was sent.
    """

    event: ClassVar[str] = "screenshot_taken"

    size: int = 0
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMade(_ConsoleEvent):
    """A token for a console was made; ``address`` is the address of the client that asked for it, where it is known.

    :cvar event: the name of this kind of event.
    :ivar expires_at: Unix time in seconds at which the token expires.
    """

    event: ClassVar[str] = "token_made"

    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsed(_ConsoleEvent):
    """A proxy asked about a token, and it was valid.

    :cvar event: the name of this kind of event.
    :ivar place_seconds: seconds that it took to find out where the console is now.
    """

    event: ClassVar[str] = "token_used"

    place_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused(_ConsoleEvent):
    """A proxy asked about a token, and it opened nothing.

    The user, project and server are known only where the token itself was: it may not be used here, or its server
    does not run.

    :cvar event: the name of this kind of event.
    :ivar cause: the name of the :class:`~novnc_twisted.errors.Refusal`.
    :ivar detail: what the log says besides the cause.
    """

    event: ClassVar[str] = "token_refused"

    cause: str
    detail: str = ""

    def __post_init__(self) -> None:
        _clean(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked(_ConsoleEvent):
    """Tokens that were valid are valid no longer; the fields say by what they were selected.

    :cvar event: the name of this kind of event.
    :ivar tokens: how many.
    :ivar reason: why, in words.
    """

    event: ClassVar[str] = "token_revoked"

    tokens: int = 1
    reason: str = ""

    def __post_init__(self) -> None:
        _clean(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "reason")


Event: TypeAlias = (
    SessionOpened
    | SessionClosed
    | SessionChanged
    | RequestRefused
    | FrameBlocked
    | TokenMade
    | TokenUsed
    | TokenRefused
    | TokenRevoked
    | PowerAction
    | ScreenshotTaken
)

Observer: TypeAlias = Callable[[Event], None]
"""Receives each event when it happens.  It must not block, since it is called in the middle of the event's work."""


# Cleaned once here instead of in each observer: an observer that forgets it would be open to log injection (CWE-117).
def _clean(event: object, *fields: str) -> None:
    for field in fields:
        text = getattr(event, field)
        if text and (cleaned := clean(text)) is not text:
            object.__setattr__(event, field, cleaned)  # as the generated __init__ of a frozen dataclass does
