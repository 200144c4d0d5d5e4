"""Sends events about changed servers and sessions to the clients that have an event stream open.

About once a second, this module reads the servers and sessions, and compares them with those that it read before.
Reading and comparing once is called a *look*.  If there are many sessions, some looks do not read them (:data:`PAGE`).
Clients that may see the same servers and sessions form a *group*.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.api.console.call import ConsoleCall, Credentials
from novnc_twisted.api.console.log_in_check import LogInCheck
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
"""Seconds between two looks."""

QUIET: Final = 20
"""After this number of consecutive looks without an event for a group, a comment is sent to the group's clients."""

MAX_AGE: Final = 300.0
"""Seconds after which a stream ends and its client connects again."""

MAX_SUBSCRIBERS: Final = 500
"""Maximum number of event streams of one process."""

MAX_OF_USER: Final = 50
"""Maximum number of event streams of one user in one process.  So one user cannot take all streams of the process."""

MAX_EVENTS: Final = 1 << 16
"""Maximum number of bytes that one look sends to a client.  If the events are longer, only the event ``reload`` is
sent: the client should read its lists again.

The limit exists because data that a client has not read yet is kept in memory."""

PAGE: Final = 1000
"""Maximum number of sessions that one call returns.  The more pages the sessions of a group fill, the less often the
sessions are read.  For example, 10,000 sessions are read in every 11th look."""

MAX_SESSIONS: Final = 10 * PAGE
"""Maximum number of sessions that are watched for one group.  The script of the list page reads the same number of
sessions (``MOST_PAGES`` in novnc_twisted/web/src/list/api.js)."""

_Rows = Mapping[str, Mapping[str, Any]]
"""Id -> the fields of a server or session."""

_Kind = tuple[bool, str | None]
"""Identifies a group: ``(True, None)`` for all administrators, ``(False, project)`` for other callers of a project."""


class _Group:
    """Subscribers that see the same rows: all administrators, or the callers of one project.

    :ivar caller: the caller of the first subscriber; any caller of the group sees the same rows.
    :ivar behind: subscribers that may have missed events, because their connections' send buffers were full.
    :ivar rows: the rows that were last read, by event name and id; empty before the first look.
    :ivar pause: number of looks to skip before the sessions are read again.
    :ivar quiet: number of looks since something was last sent.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.subscribers: set[ISubscriber] = set()
        self.behind: set[ISubscriber] = set()
        self.rows: dict[str, _Rows] = {}
        self.pause = 0
        self.quiet = 0


class Watch:
    """Finds, in each look, what has changed for each group, and sends it to the subscribers of the group.

    While the send buffer of a subscriber's connection is full, and until it has become empty again, the subscriber gets
    no events.  In the first look after that, the subscriber gets ``reload``, because it may have missed events and
    should read its lists again.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, inventory: Inventory, sessions: SessionsAPI) -> None:
        self._clock = clock
        self._inventory = inventory
        self._sessions = sessions
        self._groups: dict[_Kind, _Group] = {}
        self._users: Counter[str] = Counter()
        self._log_ins: dict[tuple[Caller, Credentials], LogInCheck] = {}
        self._timer: IDelayedCall | None = None
        self._looking = False
        self._has_new_group = False  # whether a group was added since the last look began

    def __len__(self) -> int:
        return sum(len(group.subscribers) for group in self._groups.values())

    def has_room(self, caller: Caller) -> bool:
        """Return whether the caller may open a stream: neither this process nor the user has reached its maximum."""
        return len(self) < MAX_SUBSCRIBERS and self._users[caller.user] < MAX_OF_USER

    def subscribe(self, call: ConsoleCall, subscriber: ISubscriber) -> Callable[[], None]:
        """Begin to send the events that the caller may see; return a function that ends the subscription."""
        caller = call.caller
        kind = (caller.is_admin, None if caller.is_admin else caller.project)
        self._has_new_group = self._has_new_group or kind not in self._groups
        group = self._groups.setdefault(kind, _Group(caller))
        group.subscribers.add(subscriber)
        self._users[caller.user] += 1
        subscriber.send(HEAD)
        age = self._clock.callLater(MAX_AGE, subscriber.finish)
        # All tabs of a browser have the same credentials and share one check.
        key = caller, call.credentials
        log_in = self._log_ins.get(key) or LogInCheck(self._clock, caller, call.again)
        self._log_ins[key] = log_in
        log_in.ends.append(subscriber.finish)
        # A running look continues even if all subscribers have left.  If a new subscriber comes during this look, it
        # must not begin a second look.
        if self._timer is None and not self._looking:
            self._look()

        def end() -> None:
            if age.active():
                age.cancel()
            log_in.ends.remove(subscriber.finish)
            if not log_in.ends:
                log_in.stop()
                del self._log_ins[key]
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
        self._timer, self._looking, self._has_new_group = None, True, False
        Deferred.fromCoroutine(self._look_at_all()).addBoth(self._looked)

    def _looked(self, _result: object) -> None:
        self._looking = False
        if self._groups:
            # If a group was added during this look, the next look begins at once, because this group has no rows to
            # compare with yet.
            self._timer = self._clock.callLater(0 if self._has_new_group else INTERVAL, self._look)

    async def _look_at_all(self) -> None:
        proxies_answer = True
        for group in list(self._groups.values()):
            found = {"servers": await self._rows_or_none(self._servers(group.caller))}
            if group.pause:
                group.pause -= 1
            # If the sessions of one group could not be read, do not read those of the groups that follow in this look:
            # each attempt would wait for the same silent proxy.
            elif proxies_answer:
                found["sessions"] = await self._rows_or_none(self._live(group))
                proxies_answer = found["sessions"] is not None
                group.pause = len(found["sessions"] or ()) // PAGE
            self._send_changes(group, {name: rows for name, rows in found.items() if rows is not None})

    async def _rows_or_none(self, rows: Awaitable[_Rows]) -> _Rows | None:
        """Return the rows; None if they cannot be read now.  The next look tries to read them again."""
        try:
            return await rows
        except Refusal:
            return None
        except Exception:
            self._log.failure(
                "servers or sessions could not be read for the event streams; this is tried again within seconds"
            )
            return None

    async def _servers(self, caller: Caller) -> _Rows:
        servers, _ = await self._inventory.page(caller)
        return {one.uuid: row(one, caller) for one in servers}

    async def _live(self, group: _Group) -> _Rows:
        caller, rows = group.caller, dict[str, Mapping[str, Any]]()
        # A filter without an owner would match the sessions of all projects.
        if not caller.is_admin and not caller.project:
            return rows
        wanted = SessionFilter(owner=None if caller.is_admin else caller.project)
        last, more = "", True
        while more and len(rows) < MAX_SESSIONS:
            live, more = await self._sessions.page(wanted, limit=PAGE, marker=last)
            rows |= {one.id: _event_row(one) for one in live}
            last = live[-1].id if live else last
        if more and (known := group.rows.get("sessions")):
            # Sessions are read in the order of their ids, so those with a higher id than ``last`` were not read now.
            # Forget them, so that no event reports them as removed.
            group.rows["sessions"] = {key: one for key, one in known.items() if key <= last}
        return rows

    def _send_changes(self, group: _Group, found: Mapping[str, _Rows]) -> None:
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
    """Return the changes since the rows were last read; None: nothing has changed, or they were not read before."""
    known = group.rows.get(name)
    if known is None:
        return None
    changed = [one for key, one in rows.items() if known.get(key) != one]
    removed = [key for key in known if key not in rows]
    return {"changed": changed, "removed": removed} if changed or removed else None


def _event_row(session: SessionInfo) -> dict[str, Any]:
    """Return the few fields of a session that events contain.

    Fields such as ``bytes_in`` change all the time.  With them, each look would report each busy session as changed.
    """
    shown = view(session)
    names = ("id", "server_id", "user_id", "project_id", "console_type", "mode", "started_at")
    return {name: shown[name] for name in names}
