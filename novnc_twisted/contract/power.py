"""Power actions on a server: their names on the bus, and the answer of its compute host."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from novnc_twisted.contract import fields
from novnc_twisted.contract.record import Record, record

START: Final = "start"
STOP: Final = "stop"
REBOOT: Final = "reboot"
RESET: Final = "reset"
PAUSE: Final = "pause"
UNPAUSE: Final = "unpause"
SUSPEND: Final = "suspend"
RESUME: Final = "resume"

ACTIONS: Final = (START, STOP, REBOOT, RESET, PAUSE, UNPAUSE, SUSPEND, RESUME)
"""The actions, named as in nova; but nova's soft reboot is REBOOT here, and its hard reboot is RESET."""

FOR_VIEWERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "running": (STOP, REBOOT, RESET, PAUSE, SUSPEND),
        "paused": (UNPAUSE, RESET),
        # The guest has suspended itself.  SUSPEND leads to another state, ``saved``, in which there are no viewers.
        "suspended": (RESUME,),
        "crashed": (RESET,),
    }
)
"""The name of a state -> the actions that the console page offers in this state.

The compute host decides whether it runs an action.
"""

VIEWERS_ACTIONS: Final = tuple(action for action in ACTIONS if action != START)
"""The actions that a viewer can request, with the xvp messages of RFB or with a text message of the console page.

START is not one of them, because a stopped server has no viewers.
"""

WRONG_STATE: Final = "state"
"""The server's state does not allow the action."""

BUSY: Final = "task"
"""Another action is still running, or a migration has paused the domain."""

TRANSIENT: Final = "transient"
"""The domain is transient, so the action would delete it."""


@record
class PowerReply(Record):
    """The answer of a compute host to a request for a power action: whether the action has begun and, if not, why.

    :ivar state: the name of the server's state when the action was requested.
    :ivar conflict: :data:`WRONG_STATE`, :data:`BUSY` or :data:`TRANSIENT`; None: the action has begun.
    :ivar task: with :data:`BUSY`, nova's name of the running action, such as ``powering-off``, or ``migrating``.
    """

    state: Annotated[str, fields.short_text]
    conflict: Annotated[str | None, fields.optional(fields.one_of(WRONG_STATE, BUSY, TRANSIENT))] = None
    task: Annotated[str | None, fields.optional(fields.short_text)] = None
