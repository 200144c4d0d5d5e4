"""Answers calls about the sessions of one worker of a proxy: the topic ``proxy.HOST.WORKER`` of the bus."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.person import MAX_PEOPLE, Person
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import PROXY, SESSIONS_BINARY
from novnc_twisted.errors import Refusal, Revoked, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport
from novnc_twisted.messaging.wire import MAX_MESSAGE, encode_object, size_of
from novnc_twisted.session.people import PeopleList

MAX_PAGE = 1000
"""Maximum number of sessions in one answer."""

_ROOM = MAX_MESSAGE - 1000
"""Maximum number of bytes of the sessions in one answer; the other fields of the message need the remaining bytes."""


class ISession(Protocol):
    """The part of a session that :class:`SessionManager` uses."""

    @property
    def id(self) -> str:
        """The id, unique among the sessions of all proxies."""

    def to_wire(self) -> dict[str, Any]:
        """Return the description as JSON."""

    def end(self, cause: Refusal) -> None:
        """End the session."""

    def change_mode(self, mode: str) -> None:
        """Change at once what the viewer may do."""

    def show_people(self, listed: PeopleList) -> bool:
        """Use a new list of people; return whether the page shows that somebody asks for control."""


class IUncheckedSession(Protocol):
    """A session whose token is being checked."""

    @property
    def token_hash(self) -> str:
        """The SHA-256 of the token."""

    def end_if(self, wanted: SessionFilter, cause: Refusal) -> None:
        """After the check of the token, end the session if the session matches the filter."""


class ISessionRegistry(Protocol):
    """The part of the registry of sessions that :class:`SessionManager` uses."""

    def find(self, wanted: SessionFilter) -> Iterable[ISession]:
        """Return the sessions that match the filter, in any order."""

    def unchecked(self) -> Iterable[IUncheckedSession]:
        """Return the sessions whose token is being checked."""


def new_topic(host: str) -> str:
    """Return a topic for a worker, ``proxy.HOST.WORKER``.

    WORKER is random, and new for each topic.  So a restarted worker is never called for the sessions of its
    predecessor.

    :param host: the ``host`` option.
    """
    return PROXY.of(host, secrets.token_hex(6))


class SessionManager:
    """Lists, counts, ends and changes the sessions of this worker for the API and for consoleauth.

    :param transport: the bus.
    :param sessions: the sessions of this worker.
    :param host: the ``host`` option.
    :param topic: ``proxy.HOST.WORKER``, from :func:`new_topic`; None: choose a new one.
    :ivar topic: the topic that is served.
    """

    def __init__(
        self, transport: ITransport, sessions: ISessionRegistry, *, host: str, topic: str | None = None
    ) -> None:
        self._transport = transport
        self._sessions = sessions
        self._host = host
        self.topic = topic or new_topic(host)
        self._withdraw: Callable[[], Deferred[None]] | None = None

    async def start(self) -> None:
        """Serve the topic."""
        methods = {name: getattr(self, name) for name in PROXY.methods}
        self._withdraw = await self._transport.serve(
            self.topic, methods, binary=SESSIONS_BINARY, host=self._host, callers=PROXY.methods
        )

    async def stop(self) -> None:
        """Stop serving the topic; the sessions go on."""
        withdraw, self._withdraw = self._withdraw, None
        if withdraw is not None:
            await withdraw()

    async def get_sessions(self, *, limit: int = MAX_PAGE, marker: str = "", **wanted: Any) -> dict[str, Any]:
        """List sessions in the order of their ids.

        :param limit: the maximum number of sessions, from 1 to :data:`MAX_PAGE`.
        :param marker: the id of the last session of the previous page; empty for the first page.
        :param wanted: the fields of a :class:`SessionFilter`.
        :returns: ``sessions``, and ``more``: whether further sessions follow.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MAX_PAGE:
            raise ServiceUnavailable(f"limit is not a number from 1 to {MAX_PAGE}")
        if marker != "":
            fields.argument("marker", marker, fields.short_text)
        found = self._sessions.find(SessionFilter.from_arguments(wanted))
        page = nsmallest(limit + 1, (one for one in found if one.id > marker), key=lambda one: one.id)
        rows: list[dict[str, Any]] = []
        size = 0
        for session in page[:limit]:
            row = session.to_wire()
            size += size_of(encode_object(row)) + 1
            if size > _ROOM:
                break  # the answer must fit into one message, so a page of sessions with long names ends early
            rows.append(row)
        return {"sessions": rows, "more": len(rows) < len(page)}

    async def end_sessions(self, *, reason: str = "", **wanted: Any) -> dict[str, Any]:
        """End all sessions that match a filter, with the cause Revoked (close code 4410).

        A session whose token is still being checked can begin to match when the check ends.  If it does, it is ended
        then.

        :param reason: why, for the log.
        :param wanted: the fields of a :class:`SessionFilter`, at least one besides ``made_until``.
        :returns: ``ended``, the number of sessions that were ended at once.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        cause = Revoked(fields.argument("reason", reason, fields.text) if reason != "" else "")
        found = self._chosen(wanted)
        for session in found:
            session.end(cause)
        for unchecked in self._sessions.unchecked():
            unchecked.end_if(SessionFilter.from_arguments(wanted), cause)
        return {"ended": len(found)}

    async def set_mode(self, *, mode: str, **wanted: Any) -> dict[str, Any]:
        """For all sessions that match a filter, change at once what the viewers may do.

        consoleauth passes ``link_id`` as the filter.  This field also matches sessions whose token is still being
        checked.

        :param mode: ``control`` or ``view``.
        :param wanted: the fields of a :class:`SessionFilter`, at least one besides ``made_until``.
        :returns: ``changed``, the number of sessions that match.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        mode = fields.argument("mode", mode, fields.one_of(*MODES))
        found = self._chosen(wanted)
        for session in found:
            session.change_mode(mode)
        return {"changed": len(found)}

    async def count_sessions(self, *, checking: list[Any] | None = None, **wanted: Any) -> dict[str, Any]:
        """For each given field, count the sessions that match this field, without regard to the other fields.

        A session whose token is still being checked does not match a user, project, owner, server or network yet.

        :param checking: ids of links (:func:`novnc_twisted.access.tokens.link_id`).
        :param wanted: fields of a :class:`SessionFilter`.
        :returns: for each field, how many sessions match it.  If the list ``checking`` has links, the result also has
            ``checking``: for each link, how many sessions wait for the check of its token.  Links without such sessions
            are left out.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        SessionFilter.from_arguments(wanted)
        if checking is not None and not isinstance(checking, list):
            raise ServiceUnavailable("checking is not a list")
        asked = [fields.argument("checking", one, fields.link_id) for one in checking or ()]
        waiting = Counter(link_id(one.token_hash) for one in self._sessions.unchecked()) if asked else Counter()
        counts: dict[str, Any] = {
            name: sum(1 for _ in self._sessions.find(SessionFilter.from_arguments({name: value})))
            for name, value in wanted.items()
            if value is not None
        }
        if asked:
            counts["checking"] = {one: waiting[one] for one in asked if waiting[one]}
        return counts

    async def show_people(
        self, *, server_id: str, at: float, people: list[Any], more: int = 0, asked: str = ""
    ) -> dict[str, Any]:
        """Pass a list of people to the sessions of a server.

        The console pages show the list.  Each session in the list gets the rights that the list contains for it.  In a
        session without a page, the list changes only the right to change the size of the screen, and not the mode.

        :param at: the time of the list, Unix time in seconds; a session ignores a list that is older than its last one.
        :param people: each a :class:`Person`.
        :param more: the number of people who are not in the list.
        :param asked: the id of the session that asks for control; empty: no session does.
        :returns: ``shown``, the number of the server's sessions, and ``asked``, the number of pages that show who asks.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        server_id = fields.argument("server_id", server_id, fields.uuid)
        if not isinstance(people, list) or len(people) > MAX_PEOPLE:
            raise ServiceUnavailable(f"people: not a list, or more than {MAX_PEOPLE}")
        listed = PeopleList(
            at=fields.argument("at", at, fields.number),
            people=[read(Person, one, "consoleauth") for one in people],
            more=fields.argument("more", more, fields.count),
            asked=fields.argument("asked", asked, fields.short_text) if asked != "" else "",
        )
        found = list(self._sessions.find(SessionFilter(server_id=server_id)))
        return {"shown": len(found), "asked": sum(session.show_people(listed) for session in found)}

    def _chosen(self, wanted: dict[str, Any]) -> list[ISession]:
        """Return the sessions that a call changes.

        :raises ServiceUnavailable: there is no filter, or only ``made_until``.  Such a call could change the sessions
            of all users, and is probably a mistake.
        """
        chosen = SessionFilter.from_arguments(wanted)
        if chosen.copy(made_until=None) == SessionFilter():
            raise ServiceUnavailable("at least one field of a session filter is needed")
        return list(self._sessions.find(chosen))
