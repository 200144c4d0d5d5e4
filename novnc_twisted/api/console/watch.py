"""Watches the servers and the sessions while somebody wants their events, and sends each caller what it may see."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.api.console.servers import row
from novnc_twisted.api.console.session_view import view
from novnc_twisted.api.inventory import Inventory
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal
from novnc_twisted.http.event_stream import COMMENT, HEAD, ISubscriber, encode_event
from novnc_twisted.identity.users import Caller
from novnc_twisted.session.rpcapi import SessionsAPI

INTERVAL: Final = 1.0
"""Seconds between two looks at the published servers and at the sessions of all proxies."""

QUIET: Final = 20
"""Looks without an event after which a comment is sent."""

MAX_AGE: Final = 300.0
"""Seconds after which a stream ends.  The client comes again, and its rights are checked again."""

MAX_SUBSCRIBERS: Final = 500
"""Event streams of one process, at most."""

MAX_OF_USER: Final = 50
"""Event streams of one user in one process, at most: nobody can take all of them."""

MAX_EVENTS: Final = 1 << 16
"""Bytes of the events of one look; instead of more, ``reload`` is sent: clients that do not read leave them here."""

MAX_SESSIONS: Final = 1000
"""Sessions that are watched for one caller, at most."""

_Rows = Mapping[str, Mapping[str, Any]]
_Kind = tuple[bool, str | None]


class _Group:
    """The subscribers that see the same: administrators, or the members of a project.

    :ivar rows: what was sent last, by event and id; None: nothing yet.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.subscribers: set[ISubscriber] = set()
        self.behind: set[ISubscriber] = set()
        self.rows: dict[str, _Rows] = {}
        self.quiet = 0


class Watch:
    """Compares what there is with what there was, once for all that see the same.

    A subscriber that does not read gets no further events.  Once it reads again, it gets ``reload``: it has missed
    some, and should ask for its lists again.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, inventory: Inventory, sessions: SessionsAPI) -> None:
        self._clock = clock
        self._inventory = inventory
        self._sessions = sessions
        self._groups: dict[_Kind, _Group] = {}
        self._users: Counter[str] = Counter()
        self._timer: IDelayedCall | None = None
        self._looking = False
        self._is_new = False  # whether a group has come since the last look began

    def __len__(self) -> int:
        return sum(len(group.subscribers) for group in self._groups.values())

    def has_room(self, caller: Caller) -> bool:
        """Whether there may be a further stream, and one of this user."""
        return len(self) < MAX_SUBSCRIBERS and self._users[caller.user] < MAX_OF_USER

    def subscribe(self, caller: Caller, subscriber: ISubscriber) -> Callable[[], None]:
        """Send a subscriber the events of what the caller may see, from now on; return what ends that."""
        kind = (caller.is_admin, None if caller.is_admin else caller.project)
        self._is_new = self._is_new or kind not in self._groups
        group = self._groups.setdefault(kind, _Group(caller))
        group.subscribers.add(subscriber)
        self._users[caller.user] += 1
        subscriber.send(HEAD)
        age = self._clock.callLater(MAX_AGE, subscriber.finish)
        # A look that is under way goes on even if all have left, and is not begun twice for those that come then.
        if self._timer is None and not self._looking:
            self._look()

        def end() -> None:
            if age.active():
                age.cancel()
            group.subscribers.discard(subscriber)
            group.behind.discard(subscriber)
            self._users -= Counter((caller.user,))  # drops counts of 0
            if not group.subscribers and self._groups.get(kind) is group:
                del self._groups[kind]
            if not self._groups and self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return end

    def _look(self) -> None:
        self._timer, self._looking, self._is_new = None, True, False
        Deferred.fromCoroutine(self._look_at_all()).addBoth(self._looked)

    def _looked(self, _result: object) -> None:
        self._looking = False
        if self._groups:
            # What a new group has not missed yet is only known after its first look.
            self._timer = self._clock.callLater(0 if self._is_new else INTERVAL, self._look)

    async def _look_at_all(self) -> None:
        answers = True
        for group in list(self._groups.values()):
            found = {"servers": await self._unless_refused(self._servers(group.caller))}
            # A proxy that does not answer is waited for once, and not for each group.
            if answers:
                found["sessions"] = await self._unless_refused(self._live(group.caller))
                answers = found["sessions"] is not None
            self._tell(group, {name: rows for name, rows in found.items() if rows is not None})

    async def _unless_refused(self, rows: Awaitable[_Rows]) -> _Rows | None:
        """Return None if nothing is known now: it is asked for again at the next look."""
        try:
            return await rows
        except Refusal:
            return None
        except Exception:
            self._log.failure("events could not be made")
            return None

    async def _servers(self, caller: Caller) -> _Rows:
        servers, _ = await self._inventory.page(caller)
        return {one.uuid: row(one, caller) for one in servers}

    async def _live(self, caller: Caller) -> _Rows:
        # A filter without an owner would match the sessions of all projects.
        if not caller.is_admin and not caller.project:
            return {}
        owner = None if caller.is_admin else caller.project
        live, _ = await self._sessions.page(SessionFilter(owner=owner), limit=MAX_SESSIONS)
        return {one.id: _steady(one) for one in live}

    def _tell(self, group: _Group, found: Mapping[str, _Rows]) -> None:
        events = [encode_event(name, change) for name, rows in found.items() if (change := _change(group, name, rows))]
        group.rows |= found
        self._send(group, events)

    def _send(self, group: _Group, events: Iterable[bytes]) -> None:
        data = b"".join(events)
        if len(data) > MAX_EVENTS:
            data = encode_event("reload", {})
        group.quiet = 0 if data else group.quiet + 1
        if group.quiet >= QUIET:
            group.quiet, data = 0, COMMENT
        for subscriber in list(group.subscribers):
            if subscriber.is_full:
                group.behind.add(subscriber)
            elif subscriber in group.behind:
                group.behind.discard(subscriber)
                subscriber.send(encode_event("reload", {}))
            elif data:
                subscriber.send(data)


def _change(group: _Group, name: str, rows: _Rows) -> dict[str, Any] | None:
    """Return what has changed since the last look; None: nothing, or it is the first look."""
    known = group.rows.get(name)
    if known is None:
        return None
    changed = [one for key, one in rows.items() if known.get(key) != one]
    removed = [key for key in known if key not in rows]
    return {"changed": changed, "removed": removed} if changed or removed else None


def _steady(session: SessionInfo) -> dict[str, Any]:
    """Return what an event shows of a session: nothing that changes all the time, such as its bytes."""
    shown = view(session)
    names = ("id", "server_id", "user_id", "project_id", "console_type", "mode", "started_at")
    return {name: shown[name] for name in names}
