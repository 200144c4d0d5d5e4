"""The viewer of a session, as its proxy knows it: what both proxies have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from zope.interface import implementer

from novnc_twisted.errors import ConsoleForbidden, InvalidToken, Refusal
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.rfb.handshake import Handshake
from novnc_twisted.session.interfaces import IViewer

if TYPE_CHECKING:
    from novnc_twisted.access.connection_limits import ConnectionSlot
    from novnc_twisted.access.failures import Check, Failures

GUESSES = (InvalidToken, ConsoleForbidden)
"""Ends of a token's check that count as a guess: it is unknown, has expired, or is for another place."""


@implementer(IViewer)
class FrontViewer:
    """A viewer that sent a request with a token, or without one.

    :ivar slot: of its connection; released when the session has ended.
    """

    console_type: ClassVar[str]

    def __init__(
        self,
        end: IEnd,
        token: str | None,
        address: str,
        *,
        slot: "ConnectionSlot",
        make_room: Callable[[], None],
        failures: "Failures",
        check: "Check",
    ) -> None:
        """Take what its connection knows.

        :param make_room: closes the connection, where another one needs its slot.
        :param check: that of the token.
        """
        self.end, self.token, self.address = end, token, address
        self.slot = slot
        self._make_room: Callable[[], None] | None = make_room
        self._failures, self._check = failures, check

    def token_checked(self, cause: Refusal | None) -> None:
        """Count a guess, and let the next token from this address be checked.

        A client that is refused may leave its reason unread for some seconds: until then it gives way to others.
        """
        make_room, self._make_room = self._make_room, None  # else a live session keeps its protocol
        if cause is None:
            self.slot.authorised()
        elif make_room is not None:
            self.slot.reading(make_room)
        if isinstance(cause, GUESSES):
            self._failures.count(self.address)
        self._check.end()

    def welcome(self) -> None:
        """See IViewer."""
        raise NotImplementedError

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """See IViewer."""
        raise NotImplementedError
