"""Scripts for peers, as data: a tuple of steps.  After its last step a peer stays until the other side leaves.

This is the one place for scripted peers: tests/support/scripted.py plays scripts, as a client or as a server.  Scripts
of good and hostile VNC servers are in tests/hostile/servers.py, those of viewers in tests/hostile/clients.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait until ``count`` more bytes have been received."""

    count: int


@dataclass(frozen=True, slots=True)
class ReceiveUntil:
    """Wait until these bytes have been received; what follows them belongs to the next step."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send bytes one by one, one in each iteration of the reactor."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Flood:
    """Send the same bytes again and again, as fast as they are read, until the other side leaves."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for this many iterations of the reactor."""

    iterations: int


@dataclass(frozen=True, slots=True)
class AnswerClose:
    """Wait for a WebSocket close frame, and reply to it as a browser does."""


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Start TLS as client or server, whichever the script is for."""


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for an event of the test, by its name."""

    what: str


@dataclass(frozen=True, slots=True)
class Deaf:
    """Stop reading: for back-pressure."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Close the sending direction, and go on reading."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once everything is sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (SO_LINGER 0), and drop what is not sent yet."""


Step: TypeAlias = (
    Receive
    | ReceiveUntil
    | Send
    | Trickle
    | Flood
    | Pause
    | AnswerClose
    | StartTLS
    | Await
    | Deaf
    | HalfClose
    | Close
    | Reset
)
Script: TypeAlias = tuple[Step, ...]

LEAVES: dict[str, Script] = {"close": (Close(),), "reset": (Reset(),), "half close": (HalfClose(),)}
"""The ways to leave.  A half close counts as leaving, since RFB has no half-open streams."""


def bytes_sent(script: Script) -> int:
    """How many bytes a script sends."""
    return sum(len(step.data) for step in script if isinstance(step, Send | Trickle))


def cut(script: Script, count: int, leave: Script) -> Script:
    """The same script, which leaves after ``count`` bytes."""
    steps: list[Step] = []
    for step in script:
        if isinstance(step, Send | Trickle):
            if len(step.data) > count:
                return (*steps, type(step)(step.data[:count]), *leave)
            count -= len(step.data)
        steps.append(step)
    return (*steps, *leave)


def trickled(script: Script) -> Script:
    """The same script, which sends byte by byte."""
    return tuple(Trickle(step.data) if isinstance(step, Send) else step for step in script)


def changed(script: Script, change: Callable[[bytes], bytes]) -> Script:
    """The same script, which sends other bytes."""
    return tuple(Send(change(step.data)) if isinstance(step, Send) else step for step in script)
