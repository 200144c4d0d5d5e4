"""An observer for tests that watch one kind of event."""

from typing import TypeVar

from novnc_twisted.events import Event, Observer

T = TypeVar("T")


def only(kind: type[T], found: list[T]) -> Observer:
    """An observer that appends the events of this kind to ``found`` and ignores all others."""

    def observe(event: Event) -> None:
        if isinstance(event, kind):
            found.append(event)

    return observe
