"""Decides who has control of a console, from the live sessions and the grants.  No I/O.

A session has the right of its token, ``control`` or ``view``.  When a session hands its control over to another one, a
*grant* is added: the receiver then has control, and the giver only watches.  The grant *counts*, which means that it
has this effect, while three conditions are true:

* Both sessions are live.
* The giver has the right ``control``, or is the receiver of another grant that counts.
* The receiver's viewer has sent a token, and no later change of the token's mode limits the token to viewing.

A receiver can hand control on.  When a grant to a session with the right ``view`` no longer counts, the grants that
this session has made do not count either.

In a circle of grants, those to sessions with the right ``control`` do not count: otherwise, all sessions of the circle
would only watch.  Two sessions make a circle if they hand their control over to each other at the same moment.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from novnc_twisted.contract.mode import CONTROL, VIEW
from novnc_twisted.contract.session_info import SessionInfo


@dataclass(frozen=True, slots=True)
class Settled:
    """The rights of the sessions of a server.

    :ivar modes: the mode of each session: what it may do now, ``control`` or ``view``.
    :ivar grants: the grants that count: receiver -> giver.
    :ivar resizes: the session that may change the size of the screen: of those with control, the one that has had it
        for the longest time.  None: no session has control.
    """

    modes: Mapping[str, str]
    grants: Mapping[str, str]
    resizes: str | None


def settle(sessions: Sequence[SessionInfo], grants: Mapping[str, str], barred: Collection[str] = ()) -> Settled:
    """Decide the rights of all sessions of a server.

    :param grants: receiver -> giver.
    :param barred: the sessions that may not receive control (see :meth:`.Grants.barred`).
    """
    rights = {session.id: session.right for session in sessions}
    usable = {to: by for to, by in grants.items() if to in rights and by in rights and to not in barred}
    counting = {to: by for to, by in usable.items() if _counts(to, rights, usable)}
    gave = set(counting.values())
    modes = {
        one: CONTROL if one not in gave and (right == CONTROL or one in counting) else VIEW
        for one, right in rights.items()
    }
    # A session that gets control only now has no control_since, so _since() sorts it after all others.
    having = [one for one in sessions if modes[one.id] == CONTROL]
    first = min(having, key=_since, default=None)
    return Settled(modes, counting, None if first is None else first.id)


def _counts(to: str, rights: Mapping[str, str], grants: Mapping[str, str]) -> bool:
    """Return whether the grant to a session counts.

    :param grants: the grants between live sessions, without those to barred sessions.
    """
    givers: set[str] = set()  # the giver, the giver of the giver, and so on
    giver = grants.get(to)
    while giver is not None and giver not in givers:
        givers.add(giver)
        giver = grants.get(giver)
    if rights[to] == CONTROL and to in givers:
        return False  # a circle
    return any(rights[one] == CONTROL for one in givers)


def _since(session: SessionInfo) -> tuple[bool, float, str]:
    since = session.control_since
    return since is None, session.started_at if since is None else since, session.id
