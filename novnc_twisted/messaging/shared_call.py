"""One call at a time for all that want its result."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Runs a costly call once for all callers that came before it began.

    A caller never gets the result of a call that began before it asked, since that may have looked too early.  So there
    is at most one call under way and one that follows it.

    :param call: begins the call.
    """

    def __init__(self, call: Callable[[], Deferred[T]]) -> None:
        self._call = call
        self._running = False
        self._waiting: list[Deferred[T]] = []

    def __call__(self) -> Deferred[T]:
        """The result of a call that begins now, or after the one under way; a caller may cancel its own wait."""
        wanted: Deferred[T] = Deferred()
        self._waiting.append(wanted)
        if not self._running:
            self._begin()
        return wanted

    def _begin(self) -> None:
        waiting = [wanted for wanted in self._waiting if not wanted.called]
        self._waiting = []
        if not waiting:
            return
        self._running = True

        def over(result: Any) -> None:
            self._running = False
            if self._waiting:
                self._begin()
            for wanted in waiting:
                if not wanted.called:
                    wanted.callback(result)  # a Failure goes to the errbacks

        self._call().addBoth(over)
