"""The people at each console: reads the sessions from the proxies, decides who has control, and informs the proxies.

consoleauth stores which workers of proxies had sessions of a server (the group ``people:UUID``), and which session
handed its control to which other session (a grant, ``control:SESSION``).  Everything else is read from the workers when
it is needed.  So any of several consoleauth services can do this work.  When a session ends, nothing has to be removed
from the store, because each entry expires.  consoleauth asks the workers about a server only if a console page has
opened the server's console, or if the mode of one of the server's tokens was changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from novnc_twisted.access.display import one_line
from novnc_twisted.consoleauth.control import Settled, settle
from novnc_twisted.consoleauth.grants import Grants
from novnc_twisted.contract.mode import VIEW
from novnc_twisted.contract.person import MAX_NAME, MAX_PEOPLE, Person
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.contract.topics import PROXY
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.interfaces import ITransport

DEADLINE: Final = 1.5
"""Seconds for the answer of a worker.  An update takes two rounds of calls, and a proxy waits 5 s for consoleauth."""

KEPT: Final = 604_800.0
"""Seconds for which the workers of a server are remembered after consoleauth has last added or read them."""

RETRY_DELAY: Final = 3.0
"""Seconds until an update that was not final is repeated.

An update is final if :attr:`.ServerSessions.final` is true and each worker to which the people list was sent has
accepted it.  Within this delay, a worker that has ended disappears from the list of services.  Each further repetition
doubles the delay.
"""

MAX_RETRY_DELAY: Final = 48.0
"""Maximum delay in seconds.  If the repetition after this delay is not final either, no further one follows."""

SETUP_DELAY: Final = 0.5
"""Seconds from the check of a token to the update of the pages.  By then, the new session is usually live."""

_PAGE: Final = "page:"
"""The prefix of a second entry for a worker in the group: a page on this worker shows the console of the server."""

_log = Logger()


class ServerSessions(NamedTuple):
    """The sessions of a server.

    :ivar by_topic: topic of a worker -> its live sessions of the server.
    :ivar final: whether another reading would find the same sessions: all workers that are still listed gave a valid
        answer, and no session was being set up.
    :ivar complete: whether these are all live sessions: ``final`` is true, and no worker has more sessions than fit
        into its answer.
    """

    by_topic: dict[str, list[SessionInfo]]
    final: bool
    complete: bool

    @property
    def everybody(self) -> list[SessionInfo]:
        """The live sessions in :attr:`by_topic`, as one list."""
        return [one for rows in self.by_topic.values() for one in rows]


class People:
    """Keeps the console pages informed about the people at their console.

    :param hide_administrators: whether an administrator who only watches is hidden from users who are not
        administrators.
    :param show_names: whether the names of users are shown.
    :ivar on_given_back: called when the session that received control by a grant has ended, its viewer has come back in
        a new session, and the new session gets the grant.  The arguments are the new session and the session that
        handed its control over.
    """

    def __init__(
        self,
        transport: ITransport,
        clock: IReactorTime,
        grants: Grants,
        *,
        hide_administrators: bool = False,
        show_names: bool = True,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._grants = grants
        self.hide_administrators = hide_administrators
        self.show_names = show_names
        self._due: dict[str, IDelayedCall] = {}
        self._waits: dict[str, float] = {}  # server -> seconds until its update is repeated
        self._stopped = False
        self.on_given_back: Callable[[SessionInfo, SessionInfo], None] = lambda to, by: None

    def stop(self) -> None:
        """Send no more updates."""
        self._stopped = True
        due, self._due = self._due, {}
        for call in due.values():
            call.cancel()

    # --- reports of changes

    async def admitted(self, instance_uuid: str, topic: str) -> None:
        """Record that a session of a server begins on a worker.

        If pages show the console of this server, update them when the new session is probably live.

        :param topic: the worker's topic.
        """
        members = await self._members(instance_uuid)
        if topic not in members:
            await self._transport.store.join(_group(instance_uuid), topic, KEPT)
        if _has_pages(members):
            self.changed(instance_uuid, SETUP_DELAY)

    async def notice(self, instance_uuid: str, topic: str) -> None:
        """Call :meth:`admitted`.  A failure is only logged, because it affects only the lists on pages."""
        try:
            await self.admitted(instance_uuid, topic)
        except Refusal as refusal:
            _warn(instance_uuid, refusal)

    async def attends(self, instance_uuid: str, topic: str) -> None:
        """Record that a page shows the console of a server; update this page and the others."""
        members = await self._members(instance_uuid)
        for member in {topic, _PAGE + topic}.difference(members):
            await self._transport.store.join(_group(instance_uuid), member, KEPT)
        await self.tell(instance_uuid)

    async def ended(self, sessions: Iterable[tuple[str, str]]) -> None:
        """Update the pages of servers whose sessions have ended.

        The grants to these sessions are kept for a short time, because their viewers may come back.

        :param sessions: server and id of each session.
        """
        by_server: dict[str, list[str]] = {}
        for instance_uuid, session_id in sessions:
            by_server.setdefault(instance_uuid, []).append(session_id)
        for instance_uuid, ids in by_server.items():
            if _has_pages(await self._members(instance_uuid)):
                await self._grants.receivers_ended(ids)
                self.changed(instance_uuid)

    def changed(self, instance_uuid: str, after: float = 0.0) -> None:
        """Update the pages of a server soon; several changes are sent together.

        :param after: maximum number of seconds until the update.
        """
        if self._stopped:
            return
        due = self._due.get(instance_uuid)
        if due is None:
            self._due[instance_uuid] = self._clock.callLater(after, self._tell_now, instance_uuid)
        elif due.getTime() > self._clock.seconds() + after:
            due.reset(after)

    # --- reading the sessions and informing the pages

    async def sessions(self, instance_uuid: str) -> ServerSessions:
        """Ask the workers of a server for its sessions."""
        topics = sorted({member.removeprefix(_PAGE) for member in await self._members(instance_uuid)})
        calls = (
            self._transport.call(topic, "get_sessions", deadline=DEADLINE, server_id=instance_uuid, limit=MAX_PEOPLE)
            for topic in topics
        )
        known: dict[str, list[SessionInfo]] = {}
        unknown: list[str] = []
        more = False
        for topic, answer in zip(topics, await gather(calls), strict=True):
            try:
                known[topic], has_more = _read(topic, answer, instance_uuid)
                more = more or has_more
            except Refusal as refusal:
                unknown.append(topic)
                if refusal is not answer:
                    # _read() has refused the answer, for example because the worker has another version.
                    _warn(instance_uuid, refusal)
        all_live = all(one.phase == "live" for rows in known.values() for one in rows)
        final = (not unknown or await self._forget(instance_uuid, unknown)) and all_live
        live = {topic: [one for one in rows if one.phase == "live"] for topic, rows in known.items()}
        return ServerSessions(live, final, final and not more)

    async def tell(self, instance_uuid: str, asked: str = "") -> int:
        """Decide who has control, and send the list of people to the workers.

        If the update was not final (see :data:`RETRY_DELAY`), it is usually repeated later.

        :param asked: the session that asks for control; empty: none does.
        :return: the number of pages that show this request.
        """
        # The time is taken before the sessions are read.  A worker ignores a list that is older than its last one.
        at = await self._transport.store.now()
        found = await self.sessions(instance_uuid)
        everybody = sorted(found.everybody, key=lambda one: (one.started_at, one.id))
        settled = await self.settled(everybody, complete=found.complete)
        people = [person.to_wire() for person in self._people(everybody[:MAX_PEOPLE], settled, asked)]
        more = max(0, len(everybody) - MAX_PEOPLE)
        arguments = {"server_id": instance_uuid, "at": at, "people": people, "more": more, "asked": asked}
        topics = [topic for topic, rows in found.by_topic.items() if rows]
        answers = await gather(
            self._transport.call(topic, "show_people", deadline=DEADLINE, **arguments) for topic in topics
        )
        all_told = not any(isinstance(one, Refusal) for one in answers)
        self._repeat(instance_uuid, final=found.final and all_told)
        return sum(map(_pages_that_show, answers))

    async def settled(self, sessions: Sequence[SessionInfo], *, complete: bool) -> Settled:
        """Decide who has control.

        Grants that no longer count (:mod:`.control`) are dropped.  If the session that received control by a grant has
        ended, and its viewer has come back in a new session, the new session gets the grant.

        :param complete: whether these are all sessions.  If they are not, no grant is changed, because a missing
            session may appear again.
        """
        grants = await self._grants.of([one.id for one in sessions])
        settled = await self._settle(sessions, grants, complete=complete)
        if complete and len(sessions) > 1:
            for to, by in (await self._grants.give_back(sessions, settled.modes)).items():
                grants[to.id] = by
                self.on_given_back(to, next(one for one in sessions if one.id == by))
                settled = await self._settle(sessions, grants, complete=complete)
        return settled

    async def _settle(self, sessions: Sequence[SessionInfo], grants: Mapping[str, str], *, complete: bool) -> Settled:
        barred = await self._grants.barred([one for one in sessions if one.id in grants])
        settled = settle(sessions, grants, barred)
        # Extend the grants that count.  While the two sessions of a grant live, their proxies request the list again
        # and again, so the grant stays in the store.
        await self._grants.keep(settled.grants)
        if complete:
            await self._grants.drop(set(grants) - set(settled.grants))
        return settled

    # --- internals

    def _people(self, sessions: Sequence[SessionInfo], settled: Settled, asked: str) -> Iterable[Person]:
        # If no session has a page, nobody can see who has control, so every session with control may resize.
        alone = not any(one.has_page for one in sessions)
        for one in sessions:
            mode = settled.modes[one.id]
            hosts = [each.id for each in sessions if one.shared_from and each.token_hash == one.shared_from]
            yield Person(
                id=one.id,
                name=one_line(one.user_id or "", MAX_NAME) if self.show_names else "",
                mode=mode,
                resizes=alone or one.id == settled.resizes,
                guest=bool(one.shared_from),
                hosts=tuple(hosts),
                given_by=settled.grants.get(one.id, ""),
                administrator=one.administrator,
                # An administrator who asks for control must be visible to the others.
                hidden=self.hide_administrators and one.administrator and mode == VIEW and one.id != asked,
                has_page=one.has_page,
            )

    async def _members(self, instance_uuid: str) -> list[str]:
        members: list[str] = await self._transport.store.members(_group(instance_uuid), KEPT)
        return members

    async def _forget(self, instance_uuid: str, topics: Sequence[str]) -> bool:
        """Forget the workers that are no longer listed: their sessions have ended with them.

        :return: whether all of these workers were forgotten.
        """
        listed = {service.topic for service in await self._transport.services(PROXY.prefix)}
        gone = [topic for topic in topics if topic not in listed]
        await self._transport.store.leave(_group(instance_uuid), *gone, *(_PAGE + topic for topic in gone))
        return len(gone) == len(topics)

    def _repeat(self, instance_uuid: str, *, final: bool) -> None:
        """Update the pages of a server again later, unless the last update was final.

        If the wait would be longer than :data:`MAX_RETRY_DELAY`, do not repeat the update any more.

        :param final: whether the last update was final; see :data:`RETRY_DELAY`.
        """
        # The first wait is RETRY_DELAY; each further one is twice as long as the one before.
        wait = 2 * self._waits.pop(instance_uuid, RETRY_DELAY / 2)
        if not final and wait <= MAX_RETRY_DELAY:
            self._waits[instance_uuid] = wait
            self.changed(instance_uuid, wait)

    def _tell_now(self, instance_uuid: str) -> None:
        self._due.pop(instance_uuid, None)
        Deferred.fromCoroutine(self.tell_or_log(instance_uuid))

    async def tell_or_log(self, instance_uuid: str) -> None:
        """Call :meth:`tell`; log a failure instead of raising it.  After a Refusal, repeat the update later."""
        try:
            await self.tell(instance_uuid)
        except Refusal as refusal:
            _warn(instance_uuid, refusal)
            self._repeat(instance_uuid, final=False)
        except Exception:
            _log.failure("a bug in this program: the list of people on the pages of a server could not be updated")


def _read(topic: str, answer: Any, instance_uuid: str) -> tuple[list[SessionInfo], bool]:
    """Return the sessions of a server from the answer of a worker, and whether the worker has more of them.

    :raises Refusal: the answer is a Refusal.
    :raises ServiceUnavailable: the answer is invalid.
    """
    if isinstance(answer, Refusal):
        raise answer
    rows = answer.get("sessions") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ServiceUnavailable(f"{topic}: the answer has no list of sessions")
    found = [read(SessionInfo, row, topic) for row in rows[:MAX_PEOPLE]]
    more = answer.get("more") is not False or len(rows) > MAX_PEOPLE
    return [one for one in found if one.server_id == instance_uuid], more


def _pages_that_show(answer: Any) -> int:
    """Return how many pages of a worker show that somebody asks for control; 0 if the worker's answer is invalid."""
    shown = answer.get("asked") if isinstance(answer, dict) else None
    return shown if type(shown) is int and shown > 0 else 0


def _warn(instance_uuid: str, why: Refusal) -> None:
    _log.warn("the pages of server {uuid} may show an old list of people: {why}", uuid=instance_uuid, why=str(why))


def _has_pages(members: Iterable[str]) -> bool:
    return any(member.startswith(_PAGE) for member in members)


def _group(instance_uuid: str) -> str:
    return f"people:{instance_uuid}"
