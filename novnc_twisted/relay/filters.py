"""Combines the filters of a relay into one function for each direction, and changes them while the relay is live."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from novnc_twisted.errors import Refusal
from novnc_twisted.relay.interfaces import IFilter

FilterFunction: TypeAlias = Callable[[bytes], bytes] | None
"""The function that filters the bytes of one direction; None: bytes pass without a filter."""


def combined(filters: Sequence[Any], direction: str) -> FilterFunction:
    """Return a function that calls the filters' methods for a direction; None if no filter has the method.

    :param filters: the filters, in the order in which their methods are called.
    :param direction: the name of the method: ``from_client`` or ``from_upstream``.
    """
    # Looked up once, so that a filter without a method for this direction costs nothing in this direction.
    methods = [method for each in filters if (method := getattr(each, direction, None)) is not None]
    if len(methods) < 2:
        return methods[0] if methods else None

    def apply_all(data: bytes) -> bytes:
        for method in methods:
            data = method(data)
            # A filter must not get empty bytes: Shield, which checks the viewer's messages, reads the first byte.
            if not data:
                break
        return data

    return apply_all


class FilteredRelay:
    """The base of ``TransportRelay`` and ``DetachedRelay``: reports once that the relay is over; changes the filters.

    :ivar live: True until the relay has ended or was stopped.
    :ivar filters: the filters; the first one is nearest to the viewer.  After a change, the viewer's bytes pass through
        the new filters from the next whole message on.
    """

    __slots__ = ("_changing", "_ended", "filters", "live")

    def __init__(self, filters: Sequence[IFilter]) -> None:
        self.live = True
        self.filters = tuple(filters)
        self._changing = False  # whether the old filters are still used until the end of a message
        self._ended: Callable[[Refusal], None] = _ignore

    def over(self, cause: Refusal) -> None:
        """End the relay and report the cause, once."""
        if self.live:
            self.stop()
            self._ended(cause)

    def stop(self) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        raise NotImplementedError

    def add_filter(self, added: IFilter) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        # Only the first filter is asked where messages end.  If it did not know this, the new filter could begin in the
        # middle of a message.
        first = self.filters[0] if self.filters else None
        if hasattr(added, "from_client") and not hasattr(first, "unfinished"):
            raise ValueError("the relay has no first filter that knows where the viewer's messages end")
        self._change((*self.filters, added))

    def remove_filter(self, removed: IFilter) -> None:
        """See :class:`~novnc_twisted.relay.interfaces.IRelay`."""
        # The first filter must stay, because it knows the boundaries of the viewer's messages.
        if removed not in self.filters[1:]:
            raise ValueError("only a filter behind the first one can be removed")
        self._change(tuple(each for each in self.filters if each is not removed))

    def _change(self, filters: tuple[IFilter, ...]) -> None:
        first = self.filters[0] if self.filters else None
        self.filters = filters
        # While _changing is set, the function that _until_boundary() returned is in use for the viewer's bytes.  At the
        # end of the message, this function installs the filters set above.  The filters for the server's bytes change
        # now.
        if self._changing:
            self._use(self._from_client, combined(filters[::-1], "from_upstream"))
            return
        old = self._from_client
        # Between two messages, new filters can be used at once.
        if first is None or old is None or not getattr(first, "unfinished", 0):
            self._install()
        else:
            self._changing = True
            self._use(self._until_boundary(first, old), combined(filters[::-1], "from_upstream"))

    def _install(self) -> None:
        self._changing = False
        self._use(combined(self.filters, "from_client"), combined(self.filters[::-1], "from_upstream"))

    def _until_boundary(self, first: IFilter, old: Callable[[bytes], bytes]) -> FilterFunction:
        """Return a function that uses the old filters for the unfinished message, then installs the new ones.

        A viewer cannot evade a new filter by leaving the message unfinished: the next message can begin only after the
        end of this one.
        """

        def apply_old_then_new(data: bytes) -> bytes:
            # Read before the old filters run, because they reduce first.unfinished.
            size = first.unfinished
            passed = old(data[:size])
            if first.unfinished:
                return passed
            self._install()
            new, rest = self._from_client, data[size:]
            return passed + (new(rest) if rest and new is not None else rest)

        return apply_old_then_new

    # Methods that each kind of relay implements

    @property
    def _from_client(self) -> FilterFunction:
        """The present function for the viewer's bytes."""
        raise NotImplementedError

    def _use(self, from_client: FilterFunction, from_upstream: FilterFunction) -> None:
        """Use these functions from now on."""
        raise NotImplementedError


def _ignore(cause: Refusal) -> None:
    """Do nothing.  This is the callback of a relay that was not started."""
