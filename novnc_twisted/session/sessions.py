"""All sessions of a front."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from novnc_twisted.errors import Refusal, ServiceUnavailable, Stopping
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.keeper import KeepToken
from novnc_twisted.session.limits import SessionLimits
from novnc_twisted.session.session import AskPassword, Authorise, House, Session
from novnc_twisted.session.settings import SessionSettings


class Sessions:
    """Begins sessions, knows those that live and can end them all."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        authorise: Authorise,
        *,
        settings: SessionSettings,
        ask_password: AskPassword | None = None,
        keep_token: KeepToken | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        """Start with none.

        :param limits: to be shared with another front; by default its own, from the settings.
        """
        self._house = House(
            reactor=reactor,
            authorise=authorise,
            ask_password=ask_password,
            keep_token=keep_token,
            settings=settings,
            limits=SessionLimits(settings.max_sessions, settings.max_sessions_per_server) if limits is None else limits,
        )
        self._live: dict[Session, Deferred[Refusal]] = {}
        self._stopping = False

    def __len__(self) -> int:
        return len(self._live)

    def begin(self, viewer: IViewer, accepted_at: float) -> Deferred[Refusal]:
        """Begin a session; fires with the cause of its end when nothing of it is left.

        :param accepted_at: when the connection was accepted, in the reactor's seconds.
        """
        session = Session(self._house, viewer, accepted_at)
        if self._stopping:
            session.end(Stopping())
        done: Deferred[Refusal] = Deferred()
        self._live[session] = done

        def ended(cause: Refusal) -> None:
            del self._live[session]
            done.callback(cause)

        def failed(failure: Failure) -> Refusal:
            self.log.failure("a session could not be closed by a mistake of ours", failure)
            return session.cause or ServiceUnavailable("a mistake in the proxy")

        Deferred.fromCoroutine(session.run()).addErrback(failed).addCallback(ended)
        return done

    def stop(self) -> Deferred[None]:
        """End all, those being set up too, with Stopping, also those that still come; fires when none is left."""
        self._stopping = True
        waiting: list[Deferred[None]] = []
        for session, done in list(self._live.items()):
            over: Deferred[None] = Deferred()
            waiting.append(over)

            def pass_on(cause: Refusal, over: Deferred[None] = over) -> Refusal:
                over.callback(None)
                return cause

            done.addCallback(pass_on)
            session.end(Stopping())
        return gatherResults(waiting).addCallback(lambda _: None)
