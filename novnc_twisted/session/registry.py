"""All sessions of a front (the noVNC proxy or the XVP proxy): being set up, live, or being closed."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from twisted.internet.defer import Deferred

from novnc_twisted.access.tokens import link_id
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Stopping
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.matching import matches
from novnc_twisted.session.services import SessionServices
from novnc_twisted.session.session import Session
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.setup import SessionSetup
from novnc_twisted.session.token_index import TokenIndex


class SessionRegistry:
    """Begins sessions, finds them, and ends them all.

    Sessions are indexed by id and by token.  All other look-ups go through all sessions, which takes 0.2 ms for a
    thousand sessions.  Such look-ups are for revocations, for lists, and for limits that consoleauth counts over all
    proxies.  An index for them would cost memory for each session.

    :ivar services: given to every session.
    :ivar on_opened: called with each session that has become live; may be None.
    :ivar on_closed: called with each ended session whose token was valid; may be None.
    """

    def __init__(self, services: SessionServices, ended: "Callable[[IViewer], None] | None" = None) -> None:
        """Start without sessions.

        :param ended: called with the viewer of each session after its connections have been closed.
        """
        self.services = services
        self._sessions: dict[str, Session] = {}
        self._tokens = TokenIndex()
        self._waiting: list[Deferred[None]] = []
        self._notify = ended
        self.on_opened: Callable[[Session], None] | None = None
        self.on_closed: Callable[[EndedSession], None] | None = None
        self._stopping = False

    def use(self, settings: SessionSettings) -> None:
        """Use other settings for new sessions, and for what existing sessions still have to do.

        For example, a new ``idle_timeout`` also applies to live sessions, whose idle time begins again.
        """
        self.services = replace(self.services, settings=settings)
        for session in self:
            session.use(self.services)

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        # A copy: the caller may end sessions, which removes them from the dictionary.
        return iter(list(self._sessions.values()))

    def get(self, session_id: str) -> Session | None:
        """Return the session with this id, if there is one."""
        return self._sessions.get(session_id)

    def find(self, wanted: SessionFilter) -> list[Session]:
        """Return the sessions that match a filter, except sessions that are being closed."""
        if wanted.session_id is not None:
            ids: Iterable[str] = (wanted.session_id,)
        elif wanted.token_hash is not None or wanted.link_id is not None:
            ids = self._tokens.find(wanted.link_id or link_id(wanted.token_hash or ""))
        else:
            ids = list(self._sessions)
        candidates = (self._sessions[one] for one in ids if one in self._sessions)
        return [session for session in candidates if session.cause is None and matches(session, wanted)]

    def unchecked(self) -> list[SessionSetup]:
        """Return the sessions whose token is being checked."""
        candidates = [one for one in self._sessions.values() if one.info is None and one.cause is None]
        return [one for one in candidates if isinstance(one, SessionSetup)]

    def begin(self, viewer: IViewer, accepted_at: float) -> Session:
        """Begin a session.

        :param accepted_at: see :class:`.Session`.
        """
        session = SessionSetup(self, os.urandom(16).hex(), viewer, accepted_at)
        if self._stopping:
            # Call end() before start(): start() then sends the viewer the reason, and does not check the token.
            session.end(Stopping())
        # Add the session before start(), because start() may end the session and remove it at once.
        self._sessions[session.id] = session
        if viewer.token:
            self._tokens.add(session.link_id, session.id)
        session.start()
        return session

    def replace(self, session: Session) -> None:
        """Put a live session in the place of its set-up."""
        self._sessions[session.id] = session

    def remove(self, session: Session, link: str) -> None:
        """Forget a session that has ended, and notify the front.

        :param link: its ``link_id``; the caller has it already, and computing it again would take two hashes.
        """
        del self._sessions[session.id]
        if session.viewer.token:
            self._tokens.remove(link, session.id)
        if self._notify is not None:
            self._notify(session.viewer)
        self._wake()

    def stop(self) -> Deferred[None]:
        """End all sessions, also those that begin later, with the cause Stopping.

        :return: fires when no session is left.
        """
        self._stopping = True
        for session in self:
            session.end(Stopping())
        return self.none_left()

    def none_left(self) -> Deferred[None]:
        """Return a Deferred that fires when there is no session."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        # If there is no session now, nothing else would fire the Deferred.
        self._wake()
        return waiting

    def _wake(self) -> None:
        if not self._sessions:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
