"""The people at a console: the rights that consoleauth gives them, and what pages show of them."""

from typing import Annotated, Any, Final

from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import CONTROL, MODES
from novnc_twisted.contract.record import Record, record

MAX_PEOPLE: Final = 32
"""Maximum number of people in the people list of a console.  By default, QEMU accepts 32 viewers."""

MAX_NAME: Final = 64
"""Maximum number of characters of :attr:`Person.name`; consoleauth cuts longer names."""

REQUEST: Final = "request"
"""Ask the sessions that have control to hand it over."""

GIVE: Final = "give"
"""Hand control over, and only watch from then on."""

TAKE: Final = "take"
"""Take control from a session to which this session gave it, or from a guest.

The guest's link must have been made from the link of this session.
"""

RELEASE: Final = "release"
"""Return control to the session that handed it over."""

CONTROL_ACTIONS: Final = (REQUEST, GIVE, TAKE, RELEASE)


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_PEOPLE:
        raise ValueError("not a list of ids")
    return tuple(map(fields.short_text, value))


@record
class Person(Record):
    """A live session, as other viewers of the same console see it.

    :ivar id: the id of the session.
    :ivar name: the user; empty if the user is unknown, or if ``[console] show_user_names`` is false.
    :ivar mode: what the session may do now: ``control`` or ``view``.
    :ivar resizes: whether the session may change the size of the screen while it has control.
    :ivar guest: whether the session was opened with a link that was shared from the page.
    :ivar hosts: for a guest, the live sessions with the link from which the guest's link was made.  These sessions may
        take control from the guest.
    :ivar given_by: the session that handed control over to this one; empty: no session did.
    :ivar administrator: whether an administrator asked for its token.
    :ivar hidden: whether other viewers see the session only if they are administrators.
    :ivar has_page: whether its viewer is the console page.  Control can be handed over only to such a session.
    """

    id: Annotated[str, fields.short_text]
    name: Annotated[str, fields.text] = ""
    mode: Annotated[str, fields.one_of(*MODES)] = CONTROL
    resizes: Annotated[bool, fields.boolean] = True
    guest: Annotated[bool, fields.boolean] = False
    hosts: Annotated[tuple[str, ...], _ids] = ()
    given_by: Annotated[str, fields.short_text] = ""
    administrator: Annotated[bool, fields.boolean] = False
    hidden: Annotated[bool, fields.boolean] = False
    has_page: Annotated[bool, fields.boolean] = False
