"""Server-sent events (the HTML standard, section 9.2): a response that goes on until the client leaves."""

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

HEAD: Final = b"retry: 1000\n\n"
"""Sent first: milliseconds after which a client whose stream has ended comes again."""

COMMENT: Final = b": still here\n\n"
"""Sent now and then, so that nothing on the way takes the connection for dead."""


class ISubscriber(Protocol):
    """Where events go."""

    def send(self, data: bytes) -> None:
        """Send bytes of the stream; does nothing after the client has left."""

    def finish(self) -> None:
        """End the stream; the client asks for a new one."""

    @property
    def is_full(self) -> bool:
        """Whether the client has not read what was sent before: no more should be sent."""


Subscribe = Callable[[ISubscriber], Callable[[], None]]
"""Begins to send events to a subscriber; returns what ends that."""


def encode_event(name: str, value: Any) -> bytes:
    """Return an event with a JSON value."""
    # JSON in ASCII has no line ends, which would need several data lines.
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode("ascii")
