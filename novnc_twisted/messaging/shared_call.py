"""Shares one costly call among several callers."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Runs a costly call once for several callers.

    By default, a caller does not get the result of a call that began before the caller asked, because this result may
    be too old.  All callers that ask while a call runs share the next call, which begins when the running call
    has ended.

    :param call: begins the call.
    :param joins: whether callers that ask while a call runs get the result of this call.  With True, no caller waits
        longer than one call takes, but the result may show the state from before the caller asked.
    :param cancels: whether a running call is cancelled when all its callers have cancelled their waits.  With False,
        the call runs to its end.  Use False for a call that cannot be stopped and must not run twice at the same time.
    """

    def __init__(self, call: Callable[[], Deferred[T]], *, joins: bool = False, cancels: bool = False) -> None:
        self._call = call
        self._joins = joins
        self._cancels = cancels
        self._running: Deferred[Any] | None = None
        self._callers: list[Deferred[T]] = []
        self._waiting: list[Deferred[T]] = []

    def __call__(self) -> Deferred[T]:
        """Return the result of a call.

        If no call is running, a call begins now.  If a call is running, the caller gets the result of the next call or,
        with ``joins``, of the running call.

        A caller may cancel its own wait.
        """
        wanted: Deferred[T] = Deferred(self._cancelled)
        if self._running is None:
            self._waiting.append(wanted)
            self._begin()
        # If the running call is being cancelled, _cancelled() has emptied _callers, and nobody can join this call.
        elif self._joins and self._callers:
            self._callers.append(wanted)
        else:
            self._waiting.append(wanted)
        return wanted

    def _begin(self) -> None:
        callers = self._callers = [wanted for wanted in self._waiting if not wanted.called]
        self._waiting = []
        if not callers:
            return
        running = self._running = self._call()

        def over(result: Any) -> None:
            # Reset before the callers get the result: they may ask again at once.
            self._running = None
            if self._waiting:
                self._begin()
            for wanted in callers:
                if not wanted.called:
                    wanted.callback(result)  # a Failure goes to the errbacks

        running.addBoth(over)

    def _cancelled(self, wanted: Deferred[T]) -> None:
        left = [one for one in self._callers if one is not wanted and not one.called]
        if self._cancels and self._running is not None and wanted in self._callers and not left:
            self._callers = []
            self._running.cancel()
