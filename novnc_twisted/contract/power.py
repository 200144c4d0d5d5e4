"""Power actions on a server: their names on the bus, and the answer of its compute host."""

from dataclasses import dataclass
from typing import Annotated, Final

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record

START: Final = "start"
STOP: Final = "stop"
REBOOT: Final = "reboot"
RESET: Final = "reset"
PAUSE: Final = "pause"
UNPAUSE: Final = "unpause"
SUSPEND: Final = "suspend"
RESUME: Final = "resume"

ACTIONS: Final = (START, STOP, REBOOT, RESET, PAUSE, UNPAUSE, SUSPEND, RESUME)
"""nova's names; REBOOT is nova's soft reboot, RESET its hard one."""

WRONG_STATE: Final = "state"
"""The server's state does not allow the action."""

BUSY: Final = "task"
"""Another action is under way."""

TRANSIENT: Final = "transient"
"""The domain is transient: the action would delete it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReply(Record):
    """What a compute host answers to a power action: it has begun it, or the reason why not.

    :ivar state: libvirt's name of the server's state when the action was asked for.
    :ivar conflict: :data:`WRONG_STATE`, :data:`BUSY` or :data:`TRANSIENT`; None: the action has begun.
    :ivar task: nova's name of the action that is under way (``powering-off``), with :data:`BUSY`.
    """

    state: Annotated[str, fields.short_text]
    conflict: Annotated[str | None, fields.optional(fields.one_of(WRONG_STATE, BUSY, TRANSIENT))] = None
    task: Annotated[str | None, fields.optional(fields.short_text)] = None
