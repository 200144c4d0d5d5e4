"""Presses the keys that API users send to the domains of this host.

A caller needs a ticket to press the keys of a domain.  While one ticket of a domain is in use, no other is issued.
"""

from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from novnc_twisted.compute.interfaces import IDriver
from novnc_twisted.contract import fields
from novnc_twisted.contract.typing import TypingTicket, new_ticket, unseal
from novnc_twisted.errors import InstanceNotRunning
from novnc_twisted.messaging.waiting import sleep

TICKET_LIFETIME: Final = 5.0
"""Seconds without keys after which a ticket ends, because its caller has probably left."""

ENTER: Final = 28
"""Linux's code of the key Enter."""

AFTER_ENTER: Final = 0.12
"""Seconds of pause after Enter, so that a shell or a boot loader can read the line before the next keys come."""


@dataclass(slots=True)
class _Typing:
    """A ticket in use.

    :ivar number: how many messages have used the ticket so far.
    """

    ticket: TypingTicket
    timer: IDelayedCall
    number: int = 0


class Keyboards:
    """Issues tickets, and presses keys for callers with a ticket."""

    def __init__(self, driver: IDriver) -> None:
        self._driver = driver
        self._typing: dict[str, _Typing] = {}

    async def begin(self, uuid: str) -> TypingTicket:
        """Return a ticket for a domain's keyboard; without an id if another ticket of this domain is in use.

        :param uuid: in lower case.
        :raises InstanceNotFound: this host has no such domain.
        :raises InstanceNotRunning: the domain is not running: a paused guest would lose the keys.
        """
        await self._check(uuid)
        if uuid in self._typing:
            return TypingTicket()
        ticket = new_ticket()
        self._typing[uuid] = _Typing(ticket, self._driver.clock.callLater(TICKET_LIFETIME, self._end, uuid, ticket))
        return ticket

    async def press(self, uuid: str, ticket_id: str, sealed: Any) -> bool:
        """Press the keys of one message, and wait until the hypervisor has pressed all of them.

        The ticket ends if this is the last message, or if not all keys of this message can be pressed.  The ticket does
        not end if ``sealed`` is invalid, because such a message may come from somebody who does not have the ticket.

        :param sealed: :class:`~novnc_twisted.contract.typing.Strokes`, encrypted by
            :func:`novnc_twisted.contract.typing.seal`.
        :return: True: all keys were pressed.  False: the ticket was not valid, or has ended before the last key.
        :raises InstanceNotFound: this host no longer has the domain.
        :raises ServiceUnavailable: ``sealed`` is invalid, or libvirt refuses the keys or does not answer.
        :raises InstanceNotRunning: the domain was stopped or paused.
        """
        typing = self._typing.get(uuid)
        if typing is None or typing.ticket.id != ticket_id:
            return False
        strokes = fields.argument("keys", sealed, lambda text: unseal(typing.ticket, typing.number, text))
        typing.number += 1
        complete = False
        try:
            await self._check(uuid)
            # QEMU queues a few hundred events and silently drops further ones, so send one chord at a time.
            for chord in strokes.chords:
                # The ticket may have ended, for example because libvirt was slow, or because stop() was called.
                if not typing.timer.active():
                    return False
                typing.timer.reset(TICKET_LIFETIME)
                await self._driver.send_keys(uuid, chord, strokes.hold)
                pause = AFTER_ENTER if chord[-1] == ENTER else 0.0
                # Each key causes two events: it is pressed and released.
                await sleep(2 * len(chord) * strokes.hold / 1000 + pause, self._driver.clock)
            complete = True
        finally:
            if not complete or not strokes.more:
                self._end(uuid, typing.ticket)
        return True

    def stop(self) -> None:
        """End all tickets."""
        for uuid, typing in list(self._typing.items()):
            self._end(uuid, typing.ticket)

    async def _check(self, uuid: str) -> None:
        domain = await self._driver.get_domain(uuid)
        if domain.state != "running":
            raise InstanceNotRunning(f"{domain.name} is {domain.state}")

    def _end(self, uuid: str, ticket: TypingTicket) -> None:
        typing = self._typing.get(uuid)
        if typing is not None and typing.ticket is ticket:
            del self._typing[uuid]
            if typing.timer.active():
                typing.timer.cancel()
