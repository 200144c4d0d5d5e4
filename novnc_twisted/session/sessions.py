"""All sessions of a front."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.errors import Refusal, Stopping
from novnc_twisted.session.context import AskPassword, Authorise, SessionContext
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.session import Session
from novnc_twisted.session.settings import SessionSettings
from novnc_twisted.session.token_lease import KeepToken


class Sessions:
    """Begins sessions, knows those that live and can end them all."""

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings,
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        limits: SessionLimits | None = None,
        ended: Callable[[IViewer, Refusal], None] | None = None,
    ) -> None:
        """Start with none.

        :param limits: to be shared with another front; by default its own, from the settings.
        :param ended: told the cause of each session's end, when nothing of it is left.
        """
        self._context = SessionContext(
            reactor=reactor,
            authorise=authorise,
            ask_password=ask_password,
            keep_token=keep_token,
            settings=settings,
            limits=SessionLimits(settings.max_sessions, settings.max_sessions_per_server) if limits is None else limits,
        )
        self._live: set[Session] = set()
        self._waiting: list[Deferred[None]] = []
        self._tell = ended
        self._ended_once = self._ended  # one for all sessions
        self._stopping = False

    def __len__(self) -> int:
        return len(self._live)

    def begin(self, viewer: IViewer, accepted_at: float) -> None:
        """Begin a session.

        :param accepted_at: when the connection was accepted, in the reactor's seconds.
        """
        session = Session(self._context, viewer, accepted_at, self._ended_once)
        if self._stopping:
            session.end(Stopping())
        self._live.add(session)
        session.begin()

    def none_left(self) -> Deferred[None]:
        """Fires when there is no session."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._look()
        return waiting

    def stop(self) -> Deferred[None]:
        """End all, those being set up too, with Stopping, also those that still come; fires when none is left."""
        self._stopping = True
        for session in list(self._live):
            session.end(Stopping())
        return self.none_left()

    def _ended(self, session: Session, cause: Refusal) -> None:
        self._live.discard(session)
        if self._tell is not None:
            self._tell(session.viewer(), cause)
        self._look()

    def _look(self) -> None:
        if not self._live:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
