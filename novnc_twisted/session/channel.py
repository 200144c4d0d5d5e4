"""The channel of a live session: JSON messages between the console page and the proxy (docs/sharing.rst).

The page may send at most 40 messages of 4 KiB within 10 s.  One message is processed at a time, and one more may wait.
While the page does not read, the proxy keeps only the newest message of each kind for it.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from novnc_twisted.access import strict_json
from novnc_twisted.contract import fields, power
from novnc_twisted.contract.mode import CONTROL, MODES
from novnc_twisted.contract.person import CONTROL_ACTIONS, REQUEST
from novnc_twisted.errors import ConsoleForbidden, ProtocolViolation, Refusal
from novnc_twisted.relay.channel_end import ChannelEnd
from novnc_twisted.relay.timer_wheel import Timer, timer_wheel_of
from novnc_twisted.rfb.clipboard import UNLIMITED
from novnc_twisted.session.people import People, PeopleList

if TYPE_CHECKING:
    from novnc_twisted.session.live import LiveSession

MAX_MESSAGES: Final = 40
"""Maximum number of messages of a page in one :data:`PERIOD`."""

PERIOD: Final = 10.0
"""Length in seconds of a period in which messages are counted.  The first message after a period begins the next."""

RENEWAL: Final = 30.0
"""Seconds between two requests of the proxy for the list of people.  :meth:`Channel.renew` explains when they are sent.

If the machine of another proxy crashes, nobody reports that its sessions have ended.  Without these requests, the page
would show the people of these sessions for ever.
"""

FIRST_RETRY: Final = 5.0
"""Seconds until a failed request for the list is repeated.  Each further failure doubles this time, up to
:data:`RENEWAL`.
"""

LEASE: Final = 90.0
"""Seconds without a new list of people after which a session loses control that another session has handed over.

The next call of :meth:`Channel.renew`, at most about :data:`RENEWAL` seconds later, ends this control.
"""

STATE_REPEATED: Final = 2.0
"""Seconds for which an answer about the state of the server is cached, instead of asking consoleauth again."""

REQUEST_REPEATED: Final = 5.0
"""Seconds for which the answer to a request for control is cached, instead of asking consoleauth again.

A request for control makes consoleauth send the list of people to all pages of the console.  Without this limit, one
page could cause this four times a second.
"""

MAX_SECONDS: Final = 28_800.0
"""Maximum lifetime of a guest's link in seconds."""

# Types of messages from the page; the others are CONTROL_ACTIONS.
SHARE: Final = "share"
STATE: Final = "state"
POWER: Final = "power"

REASONS: Final = {
    **dict.fromkeys((power.WRONG_STATE, power.BUSY, power.TRANSIENT), "state"),
    "busy": "busy",  # from PowerControl.begin(), about this session; power.BUSY is about the VM
    ConsoleForbidden.__name__: "forbidden",
}
"""Why a power action was not begun -> the reason that the page receives; ``unavailable`` for anything else."""


class Channel:
    """Speaks with the page of one live session."""

    __slots__ = (
        "_asked",
        "_busy",
        "_clipboard",
        "_counted",
        "_end",
        "_others",
        "_people",
        "_retry_in",
        "_session",
        "_shown",
        "_since",
        "_state",
        "_timer",
        "_waiting",
    )

    def __init__(self, session: "LiveSession", end: ChannelEnd, people: People) -> None:
        """Prepare the channel; :meth:`start` opens it, and :meth:`stop` closes it."""
        self._session = session
        self._end = end
        self._people = people
        limits = session.services.settings.clipboard  # the same limits as in the filters of this session
        self._clipboard = [None if each == UNLIMITED else each for each in (limits.to_server, limits.from_server)]
        self._busy = False
        self._waiting: tuple[str, dict[str, Any]] | None = None
        self._since, self._counted = 0.0, 0  # when the present PERIOD began, and its number of messages
        self._state = ("", float("-inf"))  # the last known state of the server, and its time
        self._asked: tuple[str | None, float] = (None, float("-inf"))  # the last answer to REQUEST, and its time
        self._shown = session.services.reactor.seconds()  # when a list of people was last shown
        self._others = 0  # the number of other people whom the page shows
        self._retry_in = 0.0  # seconds until a failed request is repeated; 0: the last request succeeded
        self._timer: Timer | None = None

    def start(self) -> None:
        """Accept messages, and request the list of people, which may arrive before this method returns."""
        self._end.on_text = self._received
        self.tell_rights()
        # The page assumes "running" until it receives a "server" message.
        if self._session.info.state not in ("", "running"):
            self._tell_server(self._session.info.state)
        self._wait()
        Deferred.fromCoroutine(self._attend())

    def stop(self) -> None:
        """Ignore later messages, and send no more requests."""
        self._end.on_text = None
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()

    # --- to the page

    def tell_rights(self) -> None:
        """Send the page the rights of its viewer."""
        session = self._session
        info = session.info
        self._asked = (None, float("-inf"))  # with other rights, consoleauth may answer a REQUEST differently
        self._send(
            "rights",
            mode=info.mode,
            own=session.right,
            resizes=session.resizes,
            shares=info.shared_from is None,
            power=session.power is not None,
            clipboard=self._clipboard[0],
            clipboard_from=self._clipboard[1],
            ends_in=session.seconds_left(),
        )

    def show(self, listed: PeopleList) -> bool:
        """Send the page the list of people; return whether the page shows that somebody asks for control."""
        session = self._session
        self._shown = session.services.reactor.seconds()
        seen = [one for one in listed.people if not one.hidden or one.id == session.id or session.info.administrator]
        self._others = len(seen) - 1
        self._send(
            "people",
            you=session.id,
            people=[
                {
                    "id": one.id,
                    "name": one.name,
                    "mode": one.mode,
                    "guest": one.guest,
                    "administrator": one.administrator,
                    "yours": session.id in one.hosts,
                    "given_by": one.given_by,
                    "page": one.has_page,
                }
                for one in seen
            ],
            more=listed.more,
        )
        asks = listed.asked not in ("", session.id) and session.info.mode == CONTROL
        if asks:
            self._send("asked", id=listed.asked)
        return asks

    def _send(self, kind: str, **content: Any) -> None:
        self._end.write_text(kind, json.dumps({"type": kind, **content}, separators=(",", ":")))

    # --- from the page

    def _received(self, text: str) -> None:
        try:
            self._count()
            message = strict_json.loads(text)
            if not isinstance(message, dict) or not isinstance(message.get("type"), str):
                raise ValueError("not an object with a type")
        except ValueError:
            self._session.end(ProtocolViolation("a text message that is not a JSON object with a type"))
        except Refusal as cause:
            self._session.end(cause)
        else:
            self._act(message["type"], message)

    def _count(self) -> None:
        """Count a message.

        :raises ProtocolViolation: more than :data:`MAX_MESSAGES` messages came within :data:`PERIOD`.
        """
        now = self._session.services.reactor.seconds()
        if not self._counted or now - self._since >= PERIOD:
            self._since, self._counted = now, 0
        self._counted += 1
        if self._counted > MAX_MESSAGES:
            raise ProtocolViolation(f"more than {MAX_MESSAGES} text messages in {PERIOD:g} s")

    def _act(self, kind: str, message: dict[str, Any]) -> None:
        if kind not in (*CONTROL_ACTIONS, SHARE, STATE, POWER):
            # Only refuse the message, and keep the session: a newer page may send types that this proxy does not know.
            self._refuse(kind[:32], "unknown")
        elif not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._run(kind, message))
        elif self._waiting is None:
            # The page may see the effect of an action, and send the next message, before consoleauth has answered.
            self._waiting = kind, message
        else:
            self._refuse(kind, "busy")

    async def _run(self, kind: str, message: dict[str, Any]) -> None:
        try:
            work = {SHARE: self._share, STATE: self._tell_state, POWER: self._change_power}.get(kind)
            refused = await (self._change(kind, message) if work is None else work(message))
        except ValueError:
            refused = "unknown"
        except ConsoleForbidden:
            refused = "forbidden"
        except Refusal:
            refused = "unavailable"
        except Exception:
            self._session.fault()
            refused = "unavailable"
        finally:
            self._busy = False
        if refused is not None:
            self._refuse(kind, refused)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._act(*waiting)

    def _refuse(self, kind: str, reason: str) -> None:
        self._send("refused", of=kind, reason=reason)

    async def _change(self, action: str, message: dict[str, Any]) -> str | None:
        other = message.get("id", "")
        if other != "":
            other = fields.short_text(other)
        session, now = self._session, self._session.services.reactor.seconds()
        if action == REQUEST and now - self._asked[1] < REQUEST_REPEATED:
            refused = self._asked[0]
        else:
            token = session.viewer.token or ""
            refused = await self._people.change_control(session.info.instance_uuid, session.id, token, action, other)
            if action == REQUEST:
                self._asked = (refused, now)
        if refused is None:
            self._send("done", of=action)
        return refused

    async def _share(self, message: dict[str, Any]) -> str | None:
        mode, seconds = fields.one_of(*MODES)(message.get("mode")), fields.number(message.get("seconds"))
        if not 1 <= seconds <= MAX_SECONDS:
            raise ValueError("seconds")
        viewer = self._session.viewer
        link = await self._people.share(viewer.token or "", viewer.address, mode, seconds)
        self._send("link", token=link.token, mode=mode, seconds=link.expires_in)
        return None

    async def _tell_state(self, _message: dict[str, Any]) -> None:
        """Send the state of the server, or an empty text if the state is unknown.

        The page asks for it because RFB does not report whether a VM is paused.
        """
        session, viewer = self._session, self._session.viewer
        find_again, now = session.services.find_again, session.services.reactor.seconds()
        if find_again is not None and now - self._state[1] >= STATE_REPEATED:
            found = await find_again(viewer.token or "", viewer.address, session.info)
            self._state = ("" if found is None else found.state, now)
        self._tell_server(self._state[0])

    def _tell_server(self, state: str) -> None:
        actions = power.FOR_VIEWERS.get(state, ()) if self._session.power is not None else ()
        self._send("server", state=state, actions=actions)

    async def _change_power(self, message: dict[str, Any]) -> str | None:
        action, control = fields.one_of(*power.VIEWERS_ACTIONS)(message.get("action")), self._session.power
        if control is None:
            return "forbidden"
        cause = await control.begin(action)
        self._state = ("", float("-inf"))
        if not cause:
            self._send("done", of=POWER)
            return None
        return REASONS.get(cause, "unavailable")

    # --- who is there

    def renew(self) -> None:
        """Request the list of people again, if one of these holds:

        * The page shows other people.
        * This session has control only because another session has handed it over.
        * The last request failed.

        If no list has arrived within :data:`LEASE`, end control that another session has handed over to this one.
        """
        session = self._session
        if session.borrows and session.services.reactor.seconds() - self._shown > LEASE:
            session.set_rights(session.right, resizes=True)
        if self._others or session.borrows or self._retry_in:
            Deferred.fromCoroutine(self._attend())
        self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer_wheel_of(self._session.services.reactor).callLater(self._retry_in or RENEWAL, self.renew)

    async def _attend(self) -> None:
        try:
            await self._people.attend(self._session.viewer.token or "")
        except Refusal:
            if self._session.cause is None:
                # If _retry_in is not 0, renew() repeats the request even if the page shows no other people, for example
                # because no list has arrived yet.
                self._retry_in = min(2 * self._retry_in, RENEWAL) if self._retry_in else FIRST_RETRY
                self._wait()
        except Exception:
            self._session.fault()
        else:
            self._retry_in = 0.0
