"""The viewer of a session: the base class for the viewers of both proxies."""

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
"""Refusals that count as a failed guess of a token: the token is unknown, used up, expired, or not accepted here."""


@implementer(IViewer)
class FrontViewer:
    """The viewer of a session.

    :ivar slot: the slot of the viewer's connection in the connection limits; released when the session has ended.
    """

    console_type: ClassVar[str]
    preface: ClassVar[bytes] = b""

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
        """Make the viewer of a connection.

        :param make_room: closes the connection, to give its slot to another connection.
        :param check: the running check of the token.
        """
        self.end, self.token, self.address = end, token, address
        self.slot = slot
        self._make_room: Callable[[], None] | None = make_room
        self._failures, self._check = failures, check

    def token_checked(self, cause: Refusal | None) -> None:
        """End the check of the token; if the token was a failed guess, count this guess.

        With a valid token, the connection is no longer counted in the limit of the client's network.  A refused client
        may take some seconds to read the reason.  During this time, its connection may be closed to give the slot to
        another connection.

        :param cause: why the token was refused; None: it is valid.
        """
        # make_room() belongs to the protocol, so drop it: a live session must not keep the protocol in memory.
        make_room, self._make_room = self._make_room, None
        if cause is None:
            self.slot.authorised()
        elif make_room is not None:
            self.slot.reading(make_room)
        # Other refusals are not failed guesses: users who try again during an outage must not reach the limit.
        if isinstance(cause, GUESSES):
            self._failures.count(self.address)
        self._check.end()

    def refusal(self, cause: Refusal) -> Handshake[None] | None:
        """See IViewer."""
        raise NotImplementedError
