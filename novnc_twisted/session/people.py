"""What a session with a channel (:mod:`.channel`) exchanges with consoleauth.

This is the list of people at a console, changes of control, and links for guests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from novnc_twisted.contract.person import Person
from novnc_twisted.contract.shared_link import SharedLink


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleList:
    """The people at the console of a server at one moment.

    :ivar at: the time of the list, by the clock of consoleauth's store.
    :ivar people: the first ``MAX_PEOPLE`` people, in the order of their arrival.
    :ivar more: the number of people who are not in the list.
    :ivar asked: the id of the session that asks for control; empty: no session does.
    """

    at: float
    people: Sequence[Person]
    more: int = 0
    asked: str = ""


class People(Protocol):
    """The calls to consoleauth for a session with a channel; each may raise a Refusal."""

    async def attend(self, token: str) -> None:
        """Report that a page shows the console of this token, so that consoleauth sends the page the list of people."""

    async def change_control(self, server_id: str, session_id: str, token: str, action: str, other: str) -> str | None:
        """Ask for control, hand it over, take it back or return it.

        :param action: one of :data:`novnc_twisted.contract.person.CONTROL_ACTIONS`.
        :param other: the id of the session that gets control or loses it; empty: the page named no session.
        :return: why nothing was changed, or None.
        """

    async def share(self, token: str, client_address: str, mode: str, seconds: float) -> SharedLink:
        """Make a link for a guest.

        :param mode: what the guest may do, ``control`` or ``view``.
        :param seconds: how long the link should be valid; consoleauth may shorten this time.
        """
