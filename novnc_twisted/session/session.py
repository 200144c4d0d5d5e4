"""A session: one viewer's connection to a console, during the set-up or live."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from novnc_twisted.access.tokens import hash_of_session, link_id
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.mode import CONTROL
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import Refusal, ServiceUnavailable
from novnc_twisted.events.records import Event, SessionClosed
from novnc_twisted.relay.channel_end import ChannelEnd
from novnc_twisted.relay.interfaces import IEnd
from novnc_twisted.session.interfaces import IViewer
from novnc_twisted.session.people import PeopleList

if TYPE_CHECKING:
    from novnc_twisted.session.registry import SessionRegistry
    from novnc_twisted.session.services import SessionServices

STOPPING_DEADLINE = 1.0
"""Seconds for a final response or call while the proxy is stopping.

A proxy without ``drain_timeout`` must end within 5 s after SIGTERM: see :mod:`novnc_twisted.service.shutdown`.
"""


class Session:
    """The common base of a set-up (:class:`.setup.SessionSetup`) and a live session (:class:`.live.LiveSession`).

    Both have the same id: the live session takes the place of its set-up in the registry.

    :ivar id: 32 hexadecimal digits, unique among the sessions of all proxies.
    :ivar viewer: the viewer's connection and request.
    :ivar accepted_at: when the connection was accepted or, if it had an earlier request, when the response to that
        request was sent; in the reactor's seconds.
    :ivar info: where the console is, and the viewer's rights; None until the token check has succeeded.
    :ivar services: what all sessions of the same proxy share, for example the settings.
    :ivar cause: why the session ends; None until then.
    :ivar phase: the step of the set-up, or ``live``.
    :ivar control_since: when the viewer of a live session got control, as Unix time in seconds; None without control,
        and during the set-up.
    """

    log = Logger()

    __slots__ = ("accepted_at", "cause", "id", "info", "registry", "services", "viewer")

    info: ConnectInfo | None
    phase: str
    control_since: float | None = None

    def __init__(
        self,
        registry: "SessionRegistry",
        session_id: str,
        viewer: IViewer,
        accepted_at: float,
        info: ConnectInfo | None = None,
    ) -> None:
        self.registry = registry
        self.services = registry.services
        self.id = session_id
        self.viewer = viewer
        self.accepted_at = accepted_at
        self.info = info
        self.cause: Refusal | None = None

    def use(self, services: "SessionServices") -> None:
        """Use other settings for what the session still has to do."""
        self.services = services

    def end(self, cause: Refusal) -> None:
        """End the set-up or the relay, and close the connections.  Only the cause of the first call counts."""
        raise NotImplementedError

    def change_mode(self, mode: str) -> None:
        """Change what the viewer may do (``control`` or ``view``), from its next message on."""
        raise NotImplementedError

    def show_people(self, listed: PeopleList) -> bool:
        """Use a new list of the people at the console.  A set-up ignores the list.

        :return: whether the console page of this viewer shows that somebody asks for control.
        """
        return False

    @property
    def right(self) -> str:
        """The mode that the token allows, ``control`` or ``view``.

        During the set-up, it is ``control`` until the token check has succeeded, and then ``info.mode``.
        :class:`.live.LiveSession` overrides this property.
        """
        return self.info.mode if self.info else CONTROL

    @property
    def token_hash(self) -> str:
        """The SHA-256 of the token, as on the bus and in the store; empty if the viewer sent none."""
        token = self.viewer.token
        return hash_of_session(token) if token else ""

    @property
    def link_id(self) -> str:
        """The name of the token in events and traces; empty if the viewer sent none."""
        return link_id(self.token_hash)

    def describe(self) -> SessionInfo:
        """Return the present state as a record."""
        info, end = self.info, self.viewer.end
        mode = info.mode if info else CONTROL
        began = time.time() - self.services.reactor.seconds()  # the reactor's clock may count from any moment
        return SessionInfo(
            id=self.id,
            server_id=info.instance_uuid if info else "",
            server_name=info.name if info else "",
            user_id=info.user_id if info else None,
            project_id=info.project_id if info else None,
            console_type=self.viewer.console_type,
            mode=mode,
            right=self.right,
            control_since=self.control_since,
            administrator=info.administrator if info else False,
            has_page=isinstance(end, ChannelEnd),
            shared_from=(info.shared_from or "") if info else "",
            client_address=self.viewer.address,
            proxy=self.services.settings.host,
            compute_host=info.compute_host if info else None,
            phase=self.phase,
            started_at=began + self.accepted_at,
            last_input_at=began + end.heard_at if end.bytes_in else None,
            bytes_in=end.bytes_in,
            bytes_out=end.bytes_out,
            owners=info.owners if info else None,
            admission=info.admission if info else "",
            token_hash=self.token_hash,
        )

    def to_wire(self) -> dict[str, Any]:
        """Return :meth:`describe` as JSON."""
        return self.describe().to_wire()

    def phases(self) -> tuple[tuple[str, float], ...]:
        """Return the completed phases of the set-up, each with its seconds; empty for a live session."""
        return ()

    def fault(self) -> Refusal:
        """Log the exception that is being handled.  It shows that this program has a bug.

        :return: the cause with which the session should end.
        """
        self.log.failure("a session failed because of a bug in this program")
        return ServiceUnavailable("a bug in the proxy; its log has the traceback")

    def close_ends(self, ends: Iterable[IEnd], cause: Refusal) -> list[Deferred[None]]:
        """Close connections; return Deferreds, each of which fires when its connection is gone.

        If a connection cannot be closed because of a bug, the others are still closed.
        """
        gone = []
        for end in ends:
            try:
                end.close(cause)
                gone.append(end.closed())
            except Exception:
                self.fault()
        return gone

    def closed(self, cause: Refusal) -> None:
        """Report the end, and leave the registry; called after all connections have been closed."""
        info, end = self.info, self.viewer.end
        event = SessionClosed(
            session_id=self.id,
            cause=type(cause).__name__,
            close_code=cause.close_code,
            detail=cause.detail,
            phase=self.phase,
            seconds=self.services.reactor.seconds() - self.accepted_at,
            console_type=self.viewer.console_type,
            peer=end.peer,
            address=self.viewer.address,
            user_id=(info.user_id or "") if info else "",
            project_id=(info.project_id or "") if info else "",
            instance_uuid=info.instance_uuid if info else "",
            instance_name=info.name if info else "",
            bytes_in=end.bytes_in,
            bytes_out=end.bytes_out,
            link_id=self.link_id,
            phases=self.phases(),
        )
        # Before remove(): when the registry becomes empty, the Deferred of its stop() fires.  All events must be
        # reported by then.
        self.report(event)
        if info is not None and self.registry.on_closed is not None:
            now = time.time()
            ended = EndedSession(session=self.describe(), ended_at=now, cause=event.cause, detail=event.detail)
            self.registry.on_closed(ended)
        self.registry.remove(self, event.link_id)

    def report(self, event: Event) -> None:
        """Pass an event on to the observer.  If the observer raises an exception, log it; the session goes on."""
        try:
            self.services.observer(event)
        except Exception:
            self.log.failure("an observer of events failed")
