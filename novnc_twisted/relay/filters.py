"""The filters of a relay: which functions its two directions call, and how that changes while the relay is live."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.interfaces import IFilter

Look: TypeAlias = Callable[[bytes], bytes] | None
"""What a direction calls with its bytes; None: they pass unread."""


def combined(filters: Sequence[Any], direction: str) -> Look:
    """Return one function for the methods that these filters have for a direction, in this order; or None."""
    # Looked up once: a filter without a method for a direction costs nothing for each piece of data.
    methods = [method for each in filters if (method := getattr(each, direction, None)) is not None]
    if len(methods) < 2:
        return methods[0] if methods else None

    def look(data: bytes) -> bytes:
        for method in methods:
            data = method(data)
            # A filter is never called with empty bytes (Shield reads the first byte of its data).
            if not data:
                break
        return data

    return look


class FilteredRelay:
    """What both kinds of relays have in common: their end is reported once, and their filters may change.

    :ivar live: whether bytes flow.
    :ivar filters: the filters in their order; a change applies from the next whole message of the viewer on.
    """

    __slots__ = ("_changing", "_ended", "filters", "live")

    def __init__(self, filters: Sequence[IFilter]) -> None:
        self.live = True
        self.filters = tuple(filters)
        self._changing = False  # whether the filters that are in use are not yet those of self.filters
        self._ended: Callable[[Refusal], None] = _ignore

    def over(self, cause: Refusal) -> None:
        """End, once, and report the cause."""
        if self.live:
            self.stop()
            self._ended(cause)

    def stop(self) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        raise NotImplementedError

    def add_filter(self, added: IFilter) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        # Without the boundaries of messages the new filter could begin in the middle of one.
        if hasattr(added, "from_client") and not hasattr(self.filters[0] if self.filters else None, "unfinished"):
            raise ValueError("there is no filter that knows where a message of the viewer ends")
        self._change((*self.filters, added))

    def remove_filter(self, removed: IFilter) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        # The first filter knows the state of the viewer's stream; without it the boundaries are lost.
        if removed not in self.filters[1:]:
            raise ValueError("only a filter behind the first one can be removed")
        self._change(tuple(each for each in self.filters if each is not removed))

    def _change(self, filters: tuple[IFilter, ...]) -> None:
        first = self.filters[0] if self.filters else None
        self.filters = filters
        # The function that waits for the boundary installs whatever self.filters contains then.
        if self._changing:
            return
        old = self._from_client
        # Nothing of a message is under way, so the next byte begins one.
        if first is None or old is None or not getattr(first, "unfinished", 0):
            self._install()
        else:
            self._changing = True
            self._use(self._until_boundary(first, old), combined(filters[::-1], "from_upstream"))

    def _install(self) -> None:
        self._changing = False
        self._use(combined(self.filters, "from_client"), combined(self.filters[::-1], "from_upstream"))

    def _until_boundary(self, first: IFilter, old: Callable[[bytes], bytes]) -> Look:
        """Return a function that uses the old filters for the message under way, then installs the new ones.

        A viewer cannot evade a new filter by never sending the end of a message: until then nothing else passes.
        """

        def look(data: bytes) -> bytes:
            # Asked before the old filters run, which make it smaller.
            size = first.unfinished
            passed = old(data[:size])
            if first.unfinished:
                return passed
            self._install()
            new, rest = self._from_client, data[size:]
            return passed + (new(rest) if rest and new is not None else rest)

        return look

    # What each kind of relay does in its own way

    @property
    def _from_client(self) -> Look:
        """What is called with the viewer's bytes at present."""
        raise NotImplementedError

    def _use(self, from_client: Look, from_upstream: Look) -> None:
        """Call these functions from now on."""
        raise NotImplementedError


def _ignore(cause: Refusal) -> None:
    """Stand in for the callback of a relay that was not started."""
