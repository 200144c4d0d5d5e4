"""What a hostile peer does, as data: a script is a tuple of steps, and ends by staying until the other side goes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait until so many more bytes came."""

    count: int


@dataclass(frozen=True, slots=True)
class HearUntil:
    """Wait until these bytes came; what follows them is heard by the next step."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class Say:
    """Send bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send bytes one by one, each in a turn of the reactor of its own."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Flood:
    """Send bytes over and over, as fast as they are taken, until the other side goes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Let the reactor go round so many times."""

    turns: int


@dataclass(frozen=True, slots=True)
class AnswerClose:
    """Wait for a WebSocket close frame, and answer it as a browser does."""


@dataclass(frozen=True, slots=True)
class StartTLS:
    """From here on TLS, in which we are the server; or the client, where the script is a client's."""


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for something of the test's: by name, so that the script stays data."""

    what: str


@dataclass(frozen=True, slots=True)
class Deaf:
    """Read no more: for back-pressure."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """End our direction, and go on reading."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close, once what was said is sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset (SO_LINGER 0), whatever is still to be sent."""


Step: TypeAlias = (
    Hear | HearUntil | Say | Trickle | Flood | Pause | AnswerClose | StartTLS | Await | Deaf | HalfClose | Close | Reset
)
Script: TypeAlias = tuple[Step, ...]

LEAVES: dict[str, Script] = {"close": (Close(),), "reset": (Reset(),), "half close": (HalfClose(),)}
"""The ways to go; who half closes has gone as well: RFB knows no half of a stream."""


def words_of(script: Script) -> int:
    """How many bytes a script says."""
    return sum(len(step.data) for step in script if isinstance(step, Say | Trickle))


def cut(script: Script, count: int, leave: Script) -> Script:
    """The same, but for leaving when so many bytes were said."""
    steps: list[Step] = []
    for step in script:
        if isinstance(step, Say | Trickle):
            if len(step.data) > count:
                return (*steps, type(step)(step.data[:count]), *leave)
            count -= len(step.data)
        steps.append(step)
    return (*steps, *leave)


def trickled(script: Script) -> Script:
    """The same, byte by byte."""
    return tuple(Trickle(step.data) if isinstance(step, Say) else step for step in script)


def changed(script: Script, change: Callable[[bytes], bytes]) -> Script:
    """The same, with other words."""
    return tuple(Say(change(step.data)) if isinstance(step, Say) else step for step in script)
