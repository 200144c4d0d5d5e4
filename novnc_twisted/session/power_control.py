"""Power actions that a viewer requests, by xvp messages of RFB or by text messages of the console page."""

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from novnc_twisted.contract.mode import CONTROL
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import PowerAction
from novnc_twisted.session.console_types import console_type
from novnc_twisted.session.services import ChangePower

if TYPE_CHECKING:
    from novnc_twisted.session.live import LiveSession

MAX_ACTIONS: Final = 5
"""Maximum number of actions that a session may request in one :data:`PERIOD`.  Further ones are not begun."""

PERIOD: Final = 10.0
"""Length in seconds of a period in which actions are counted.  The first action after a period begins the next."""


class PowerControl:
    """Begins the actions of one session, one at a time, and not faster than a person would.

    A viewer that uses xvp gets no answer.  The proxy could insert an answer only between two messages of the VNC
    server, and does not know where these end.  The screen shows the outcome, and an event reports it.
    """

    __slots__ = ("_begun", "_busy", "_change", "_session", "_since")

    def __init__(self, session: "LiveSession", change: ChangePower) -> None:
        """Offer the actions to the viewer.  The relay must not have started yet."""
        self._session = session
        self._change = change
        self._busy = False
        self._since, self._begun = 0.0, 0  # when the period began, and the number of actions in it
        console_type(session.viewer.console_type).offer_power(session.relay, self._asked)

    def end(self) -> None:
        """Ignore later xvp messages of the viewer."""
        console_type(self._session.viewer.console_type).withdraw_power(self._session.relay)

    @property
    def offered(self) -> bool:
        """Whether the viewer may begin actions: its own link gives it control, and it has control now."""
        return self._session.info.mode == CONTROL and self._session.right == CONTROL

    async def begin(self, action: str) -> str:
        """Begin an action.

        :return: why the action was not begun; empty: it was begun.  ``busy``: an earlier action of this session
            has no answer yet, or the session has requested too many actions.  ``state``, ``task`` or ``transient``: see
            :mod:`novnc_twisted.contract.power`.  Any other text is the name of a refusal.
        """
        if self._busy or not self._is_within_limit():
            return "busy"
        self._busy = True
        return await self._run(action)

    def _asked(self, action: str) -> None:
        # Checked at each request, because the mode may change while the session lives.  If another viewer
        # has handed over control, but this viewer's own link permits only viewing, consoleauth refuses the action.
        if self._session.info.mode == CONTROL and self._session.cause is None:
            Deferred.fromCoroutine(self.begin(action))

    def _is_within_limit(self) -> bool:
        """Count an action; return whether it is within the limit."""
        now = self._session.services.reactor.seconds()
        if not self._begun or now - self._since >= PERIOD:
            self._since, self._begun = now, 0
        self._begun += 1
        return self._begun <= MAX_ACTIONS

    async def _run(self, action: str) -> str:
        session, viewer, info = self._session, self._session.viewer, self._session.info
        cause = ""
        try:
            cause = await self._change(viewer.token or "", viewer.console_type, viewer.address, action) or ""
        except Refusal as refusal:
            cause = type(refusal).__name__
        except Exception:
            cause = type(session.fault()).__name__
        finally:
            self._busy = False
        event = PowerAction(
            action=action,
            cause=cause,
            session_id=session.id,
            link_id=session.link_id,
            console_type=viewer.console_type,
            address=viewer.address,
            user_id=info.user_id or "",
            project_id=info.project_id or "",
            instance_uuid=info.instance_uuid,
            instance_name=info.name,
        )
        session.report(event)
        return cause
