"""Server-sent events (HTML standard, section 9.2): a response that lasts until the client or the server ends it."""

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

HEAD: Final = b"retry: 1000\n\n"
"""Sent first: the milliseconds that a client waits after the end of its stream before it connects again."""

COMMENT: Final = b": still here\n\n"
"""Sent from time to time, so that no proxy on the way closes the connection as idle."""


class ISubscriber(Protocol):
    """The receiver of a stream of events."""

    def send(self, data: bytes) -> None:
        """Send bytes of the stream; does nothing after the stream has ended."""

    def finish(self) -> None:
        """End the stream.  The client then requests a new one (see :data:`HEAD`)."""

    @property
    def is_full(self) -> bool:
        """Whether the connection's send buffer is full.  While this is True, send nothing more."""


Subscribe = Callable[[ISubscriber], Callable[[], None]]
"""Begins to send events to a subscriber; returns a function that ends the subscription."""


def encode_event(name: str, value: Any) -> bytes:
    """Return an event with a JSON value."""
    # A value with line breaks would need several data lines.  json.dumps() gives one line.
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode("ascii")
