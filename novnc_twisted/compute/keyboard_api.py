"""Sends keys to a server through its compute host, where :mod:`.keyboards` presses them.

A chord is a set of keys that are pressed together.  A ticket is the right to press keys of a server; only one caller
has it at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from novnc_twisted.compute.host_calls import HostCalls
from novnc_twisted.compute.keyboards import AFTER_ENTER, ENTER
from novnc_twisted.contract.instance import Instance
from novnc_twisted.contract.record import read
from novnc_twisted.contract.typing import MAX_CHORDS, Strokes, TypingTicket, seal
from novnc_twisted.messaging.interfaces import ITransport

DEADLINE: Final = 10.0
"""Seconds for the answer to one message.  The compute host answers when it has pressed the keys of the message."""

LONGEST: Final = 2.0
"""Approximate maximum number of seconds that the keys of one message take.

When the client leaves, no further message is sent, so the compute host stops pressing keys within about this time.
"""

Chords = Sequence[tuple[int, ...]]
"""For each chord, Linux's codes of its keys."""


class KeyboardAPI:
    """Sends keys to the compute hosts of servers."""

    def __init__(self, transport: ITransport) -> None:
        self._calls = HostCalls(transport, DEADLINE, None)

    async def press(
        self, instance: Instance, chords: Chords, hold: int, pressed: Callable[[int], None] = lambda _keys: None
    ) -> bool:
        """Press chords one after the other; return whether all of them were pressed.

        The result is False if another caller's keys are being sent, or if the compute host has ended the ticket.

        :param hold: milliseconds between two events; each press and each release of a key is an event.
        :param pressed: called after each message, with the number of keys that were pressed for this message.
        :raises InstanceNotFound: the server is no longer on the host that reported it.
        :raises InstanceNotRunning: the server is not running; for example, it is paused.
        :raises ServiceUnavailable: the host or its libvirt does not answer, or libvirt refuses the keys.
        """
        answer = await self._call(instance, "begin_keys")
        ticket = read(TypingTicket, answer, f"compute host {instance.host}")
        if ticket.id is None or ticket.secret is None:
            return False
        for number, strokes in enumerate(in_messages(chords, hold)):
            answer = await self._call(instance, "send_keys", ticket=ticket.id, keys=seal(ticket, number, strokes))
            if not isinstance(answer, dict) or answer.get("pressed") is not True:
                return False
            pressed(sum(map(len, strokes.chords)))
        return True

    async def _call(self, instance: Instance, method: str, **arguments: Any) -> Any:
        uuid = instance.uuid
        return await self._calls.call(instance.host, lambda _, answer: answer, method, instance_uuid=uuid, **arguments)


def in_messages(chords: Chords, hold: int) -> Iterator[Strokes]:
    """Divide the chords into messages.

    A message ends when its keys take at least :data:`LONGEST` seconds, or when it has :data:`.MAX_CHORDS` chords.
    """
    begin, seconds = 0, 0.0
    for end, chord in enumerate(chords, 1):
        # Each key causes two events: it is pressed and released.
        seconds += 2 * len(chord) * hold / 1000 + (AFTER_ENTER if chord[-1] == ENTER else 0.0)
        if seconds >= LONGEST or end - begin == MAX_CHORDS or end == len(chords):
            yield Strokes(tuple(chords[begin:end]), hold, more=end < len(chords))
            begin, seconds = end, 0.0
