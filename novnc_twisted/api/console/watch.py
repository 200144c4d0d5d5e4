"""Watches the servers and the sessions while somebody wants their events, and sends each caller what it may see."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
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
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def __len__(self) -> int:
        return sum(len(group.subscribers) for group in self._groups.values())

    def subscribe(self, caller: Caller, subscriber: ISubscriber) -> Callable[[], None]:
        """Send a subscriber the events of what the caller may see, from now on; return what ends that."""
        kind = (caller.is_admin, None if caller.is_admin else caller.project)
        group = self._groups.setdefault(kind, _Group(caller))
        group.subscribers.add(subscriber)
        subscriber.send(HEAD)
        age = self._clock.callLater(MAX_AGE, subscriber.finish)
        if not self._loop.running:
            self._loop.start(INTERVAL, now=True).addErrback(lambda failure: self._log.failure("watch", failure))

        def end() -> None:
            if age.active():
                age.cancel()
            group.subscribers.discard(subscriber)
            group.behind.discard(subscriber)
            if not group.subscribers and self._groups.get(kind) is group:
                del self._groups[kind]
            if not self._groups and self._loop.running:
                self._loop.stop()

        return end

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._look_at_all())

    async def _look_at_all(self) -> None:
        for group in list(self._groups.values()):
            try:
                await self._look_for(group)
            except Refusal:
                pass  # nothing is known; the state of the servers is asked for again at the next look
            except Exception:
                self._log.failure("events could not be made")

    async def _look_for(self, group: _Group) -> None:
        servers, _ = await self._inventory.page(group.caller)
        found: dict[str, _Rows] = {"servers": {one.uuid: row(one, group.caller) for one in servers}}
        owner = None if group.caller.is_admin else group.caller.project
        if owner != "":
            live, _ = await self._sessions.page(SessionFilter(owner=owner), limit=MAX_SESSIONS)
            found["sessions"] = {one.id: _steady(one) for one in live}
        events = [encode_event(name, change) for name, rows in found.items() if (change := _change(group, name, rows))]
        group.rows |= found
        self._send(group, events)

    def _send(self, group: _Group, events: Iterable[bytes]) -> None:
        data = b"".join(events)
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
