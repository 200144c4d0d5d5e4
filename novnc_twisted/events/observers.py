"""Passes each event on to several observers."""

from typing import Final

from twisted.logger import Logger

from novnc_twisted.events.records import Event, Observer

_log: Final = Logger(namespace="novnc_twisted.events")


class Observers:
    """An ``Observer`` that passes each event on to other observers, in the order in which they were added.

    If an observer raises exceptions, only its first exception is logged.  The other observers and the caller are not
    affected, and the observer still receives later events.
    """

    __slots__ = ("_failed", "_observers")

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failed: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Add an observer, which receives all later events."""
        self._observers = (*self._observers, observer)

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                if observer not in self._failed:
                    self._failed.append(observer)
                    _log.failure(
                        "an observer of events failed at {event}: {observer} (logged once; it still receives events)",
                        event=event.event,
                        observer=observer,
                    )
