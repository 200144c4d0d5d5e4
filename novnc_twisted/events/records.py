"""The events: one immutable record for each kind of event.

No field contains a token, a token's hash or a password.  A text that may come from a client or another host is cleaned
when the event is made: it becomes one line of limited length, with ``***`` in place of tokens.  So every observer may
write the texts to a log.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

from novnc_twisted.events.base import ConsoleEvent, clean_texts
from novnc_twisted.events.refused import FrameBlocked, RequestRefused
from novnc_twisted.read_only import read_only


@read_only(kw_only=True)
class SessionOpened(ConsoleEvent):
    """A session is live: the viewer and the VNC server are connected.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar peer: the address and port from which the connection came: the viewer's, or those of a reverse proxy.
    :ivar seconds: seconds from the beginning of the set-up until the session was live.  The set-up begins when the
        connection is accepted or, if the connection had an earlier request, when the response to that request has been
        sent.
    :ivar phases: the phases of the set-up in order, each with its seconds: token (its check), dial (the connection to
        the VNC server), access path (a CONNECT request, only with nova's ``internal_access_path``), login (to the VNC
        server), offer (the handshake with the viewer).
    :ivar mode: what the viewer may do: ``control`` or ``view``.
    """

    event: ClassVar[str] = "session_opened"

    session_id: str = ""
    peer: str = ""
    seconds: float = 0.0
    phases: tuple[tuple[str, float], ...] = ()
    mode: str = ""

    def __post_init__(self) -> None:
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "peer")


@read_only(kw_only=True)
class SessionClosed(ConsoleEvent):
    """A session has ended, in any phase.

    Every session has exactly one such event, unless the process of the session was killed.  Then the event comes later,
    with the cause ``WorkerLost``, or never.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar cause: the name of the :class:`~novnc_twisted.errors.Refusal` that ended the session.
    :ivar close_code: the WebSocket close code of that cause.
    :ivar detail: more about the cause, for the log.
    :ivar phase: the phase in which the session ended: a phase of :class:`SessionOpened`, or ``live``.
    :ivar peer: the address and port from which the connection came: the viewer's, or those of a reverse proxy.
    :ivar seconds: seconds from the beginning of the set-up (see :class:`SessionOpened`) until the end.
    :ivar bytes_in: bytes of RFB from the viewer.
    :ivar bytes_out: bytes of RFB to the viewer.
    :ivar phases: the phases of the set-up until the end, as in :class:`SessionOpened`.  Empty in two cases: the session
        was live (then :class:`SessionOpened` has its phases), or the cause is ``WorkerLost``.
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
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "peer", "detail")


@read_only(kw_only=True)
class SessionChanged(ConsoleEvent):
    """The mode of a live session (what its viewer may do) was changed.

    :cvar event: the name of this kind of event.
    :ivar session_id: the session's id.
    :ivar mode: the new mode: ``control`` or ``view``.
    """

    event: ClassVar[str] = "session_changed"

    session_id: str = ""
    mode: str


@read_only(kw_only=True)
class ConsoleShared(ConsoleEvent):
    """On the console page, a viewer made a link for another person, the guest.

    ``link_id`` identifies the viewer's own link.

    :cvar event: the name of this kind of event.
    :ivar mode: what the guest may do: ``control`` or ``view``.
    :ivar expires_at: Unix time in seconds at which the link and its sessions end.
    :ivar shared_link_id: the ``link_id`` of the new link.
    """

    event: ClassVar[str] = "console_shared"

    mode: str
    expires_at: float
    shared_link_id: str = ""


@read_only(kw_only=True)
class ControlChanged(ConsoleEvent):
    """The viewer of a console page asked for control of the console, handed it over, took it, or returned it.

    :cvar event: the name of this kind of event.
    :ivar session_id: the viewer's session.
    :ivar other_session_id: the session that got control (``give``) or lost it (``take``).  Empty: the action has no
        such session, or the viewer took control back from all sessions to which it had given control.
    :ivar action: ``request``, ``give``, ``take`` or ``release``.
    """

    event: ClassVar[str] = "control_changed"

    session_id: str = ""
    other_session_id: str = ""
    action: str

    def __post_init__(self) -> None:
        # A proxy reports all of these texts to consoleauth, so the console type and the session ids are cleaned, too.
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name")
        clean_texts(self, "console_type", "session_id", "other_session_id")


@read_only(kw_only=True)
class PowerAction(ConsoleEvent):
    """A user asked for a power action on a server.  ``console_type`` is empty if the request came through the API.

    :cvar event: the name of this kind of event.
    :ivar action: one of :data:`novnc_twisted.contract.power.ACTIONS`.
    :ivar cause: why the action was refused; empty if the action was begun.
    :ivar session_id: the viewer's session; empty if the request came through the API.
    """

    event: ClassVar[str] = "power_action"

    session_id: str = ""
    action: str
    cause: str = ""


@read_only(kw_only=True)
class ScreenshotTaken(ConsoleEvent):
    """A user of the API asked for a picture of a server's screen; ``console_type`` is empty.

    :cvar event: the name of this kind of event.
    :ivar size: number of bytes of the picture; 0 if no picture was sent.
    :ivar cause: why no picture was sent; empty if one was sent.
    """

    event: ClassVar[str] = "screenshot_taken"

    size: int = 0
    cause: str = ""


@read_only(kw_only=True)
class KeysSent(ConsoleEvent):
    """A user of the API sent keys to a server; ``console_type`` is empty.

    :cvar event: the name of this kind of event.
    :ivar keys: how many keys were pressed; no event shows which ones.
    :ivar cause: why not all keys were pressed; empty if all keys were pressed.
    """

    event: ClassVar[str] = "keys_sent"

    keys: int = 0
    cause: str = ""


@read_only(kw_only=True)
class TokenMade(ConsoleEvent):
    """A token for a console was made.  ``address`` is the address of the client that asked for it, if known.

    :cvar event: the name of this kind of event.
    :ivar expires_at: Unix time in seconds at which the token expires.
    """

    event: ClassVar[str] = "token_made"

    expires_at: float


@read_only(kw_only=True)
class TokenUsed(ConsoleEvent):
    """A proxy asked for the check of a token, and the token was valid.

    :cvar event: the name of this kind of event.
    :ivar place_seconds: seconds that consoleauth took to find out where the console is now (its host and port); None if
        nova's API or a token plug-in checked the token.
    """

    event: ClassVar[str] = "token_used"

    place_seconds: float | None = None


@read_only(kw_only=True)
class TokenRefused(ConsoleEvent):
    """A proxy asked for the check of a token, and the token was refused.

    If the server of a token now belongs to another project, consoleauth refuses to renew the token's lease (the
    viewer's right to reconnect), and also reports this event.

    The fields of the user, the project and the server are set if consoleauth knows the token but refuses it, for
    example because the server does not run.  They are empty if the token is unknown, or if nova's API or a token
    plug-in checks the tokens.

    :cvar event: the name of this kind of event.
    :ivar cause: the name of the :class:`~novnc_twisted.errors.Refusal`.
    :ivar detail: more about the cause, for the log.
    """

    event: ClassVar[str] = "token_refused"

    cause: str
    detail: str = ""

    def __post_init__(self) -> None:
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "detail")


@read_only(kw_only=True)
class TokenRevoked(ConsoleEvent):
    """Tokens were revoked, or dropped (removed from consoleauth's store without a revocation).

    consoleauth drops the tokens of a server if the server is gone, or if a program calls
    ``delete_tokens_for_instance``.  It drops the oldest tokens of a server or a user if there are too many.

    The fields of ``ConsoleEvent`` show how the tokens were selected.  For example, only ``user_id`` is set if all
    tokens of a user were revoked.

    :cvar event: the name of this kind of event.
    :ivar tokens: number of revoked or dropped tokens.
    :ivar reason: a text that says why the tokens were revoked or dropped.
    """

    event: ClassVar[str] = "token_revoked"

    tokens: int = 1
    reason: str = ""

    def __post_init__(self) -> None:
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "reason")


@read_only(kw_only=True)
class APITokenChanged(ConsoleEvent):
    """An API token was made, used or revoked.  ``link_id`` is the id of the API token, and ``console_type`` is empty.

    For each API token, each process of the API reports at most one ``used`` event in a minute.

    :cvar event: the name of this kind of event.
    :ivar change: ``made``, ``used`` or ``revoked``.
    :ivar name: the name that the user gave the token.
    :ivar right: ``read`` or ``control``.
    :ivar expires_at: Unix time in seconds at which the token expires.
    """

    event: ClassVar[str] = "api_token_changed"

    change: Literal["made", "used", "revoked"] = "made"
    name: str = ""
    right: str = ""
    expires_at: float = 0.0

    def __post_init__(self) -> None:
        clean_texts(self, "address", "user_id", "project_id", "instance_uuid", "instance_name", "name")


Event: TypeAlias = (
    SessionOpened
    | SessionClosed
    | SessionChanged
    | ConsoleShared
    | ControlChanged
    | RequestRefused
    | FrameBlocked
    | TokenMade
    | TokenUsed
    | TokenRefused
    | TokenRevoked
    | PowerAction
    | ScreenshotTaken
    | APITokenChanged
    | KeysSent
)

Observer: TypeAlias = Callable[[Event], None]
"""Receives each event when it happens.

An observer must not block, because the code that reports the event waits until the observer returns.
"""
