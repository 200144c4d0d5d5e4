"""The events about refused requests, and about pages that a browser does not show in a frame of another site."""

from typing import ClassVar, Literal, TypeAlias

from novnc_twisted.events.base import clean_texts
from novnc_twisted.read_only import read_only

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
"""Causes of :class:`RequestRefused`; docs/operations explains each cause."""


@read_only(kw_only=True)
class RequestRefused:
    """A connection or a request was refused early: before it reached a session, the API or the monitoring.

    :cvar event: the name of this kind of event.
    :ivar service: the service that refused: ``novncproxy``, ``xvpvncproxy``, ``consoleapi`` or ``monitoring``;
        ``proxies`` if the connection limit of the proxies was reached, because they share it.
    :ivar cause: the cause, as one word.
    :ivar address: the client's address; ``unknown`` if a trusted proxy sent an invalid address; empty for a unix
        socket.  If a connection was closed to make room for another one, this is the network of the closed connection,
        because its address was not stored.
    :ivar detail: what happened, in words.
    :ivar option: the option to change, and how to change it; empty if no option helps.
    :ivar status: the HTTP status that was sent; None if the connection was closed without a response.
    :ivar severe: whether legitimate clients may be affected.  If so, the refusal is logged as a warning.
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
        clean_texts(self, "address", "detail")


@read_only(kw_only=True)
class FrameBlocked:
    """A browser requested the console page for a frame of another site, and will not show it there.

    The reason is that the option ``frame_ancestors`` does not allow this site.

    :cvar event: the name of this kind of event.
    :ivar service: ``novncproxy``.
    :ivar address: the client's address; ``unknown`` if a trusted proxy sent an invalid address; empty for a unix
        socket.
    :ivar origin: the origin of the page that has the frame; ``another site`` if the browser does not send the origin.
    :ivar option: the option to change.
    """

    event: ClassVar[str] = "frame_blocked"

    service: str
    address: str
    origin: str
    option: str = ""

    def __post_init__(self) -> None:
        clean_texts(self, "address", "origin")
