"""The methods of consoleauth for console pages: the list of people, control, and links for guests."""

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from novnc_twisted.access.tokens import link_id
from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.consoleauth.control import settle
from novnc_twisted.consoleauth.grants import Grants
from novnc_twisted.consoleauth.host_methods import HostMethods
from novnc_twisted.consoleauth.people import People
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.session_methods import SessionMethods
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.consoleauth.token_methods import TokenMethods
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import NOVNC
from novnc_twisted.contract.mode import CONTROL, MODES, VIEW
from novnc_twisted.contract.person import CONTROL_ACTIONS, GIVE, REQUEST
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.events.records import ControlChanged

GONE: Final = "gone"
"""Why nothing was changed: a session that the call names was not found, usually because it has ended.

This is also the reason if the token is not that of the calling session, or if the call names one session twice.
"""

NO_CONTROL: Final = "no-control"
"""Why nothing was changed: the session has no control to give or return, or cannot take control back.

This is also the reason if a session asks for control, but has control already.
"""

BARRED: Final = "barred"
"""Why nothing was changed: the other session may not have control.

There are three reasons:

* An operator limited its token to viewing, or the token from which its token was shared.
* The person who made its token for a guest limited the token to viewing.  This person can still give control.
* Its viewer is not the console page.
"""

NOBODY: Final = "nobody"
"""Why nothing was changed: no page of a viewer with control shows the request for control.

Either no viewer with control has a page, or the workers of these pages did not answer in time.
"""


class PeopleMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(
        self,
        policy: TokenPolicy,
        people: People,
        grants: Grants,
        sessions: SessionMethods,
        hosts: HostMethods,
        admissions: Admissions,
        tokens: TokenMethods,
        events: TokenEvents,
    ) -> None:
        self._policy = policy
        self._admissions = admissions
        self._people = people
        self._grants = grants
        self._sessions = sessions
        self._hosts = hosts
        self._tokens = tokens
        self._events = events
        people.on_given_back = lambda to, by: self._report(GIVE, by, to)

    async def attend(self, *, token_hash: str, topic: str) -> dict[str, Any]:
        """Record that a page on the calling worker shows the console of a server; update all pages of this console.

        The call has no server id: consoleauth finds the server of the token.  A proxy knows only the tokens of its own
        viewers, so it learns only who is at the consoles that these viewers have opened.

        :param topic: the topic of the worker, which consoleauth will call.
        :returns: an empty object.
        :raises InvalidToken: the token is unknown, and no admission of a session with this token is stored.
        :raises Revoked: the token was revoked.
        :raises ServiceUnavailable: an argument is invalid.
        """
        token_hash = arguments.token_hash(token_hash)
        topic = arguments.proxy_topic(topic)
        await self._people.attends(await self._server_of(token_hash), topic)
        return {}

    async def share_console(
        self, *, token_hash: str, client_address: str, shared_hash: str, mode: str, expires_in: float
    ) -> dict[str, Any]:
        """Make a token for a guest from the token of a live session.

        :param shared_hash: the SHA-256 of the new token.
        :param mode: what the guest may do: ``view``, or ``control`` if the live session's token permits control.
        :param expires_in: seconds after which the new token and its sessions end; more than 28,800 count as 28,800.
        :returns: ``expires_in``: for how many seconds the new token is valid.  If the live session's token permits no
            reconnection, the new token ends when that token expires, if not earlier.
        :raises ConsoleForbidden: the token may not be shared, or not with this right; or too many tokens have been made
            from it for guests.
        :raises Refusal: the token is not valid; see ``check_token``.
        """
        shared_hash = fields.argument("shared_hash", shared_hash, fields.token_hash)
        mode = fields.argument("mode", mode, fields.one_of(*MODES))
        seconds = fields.argument("expires_in", expires_in, fields.number)
        if not seconds > 0:
            raise ServiceUnavailable("expires_in is not positive")
        record = await self._hosts.checked(token_hash, NOVNC, client_address)
        shared = await self._policy.shared.add(token_hash, record, shared_hash, client_address, mode, seconds)
        self._events.shared(token_hash, shared_hash, shared, client_address)
        await self._tokens.drop_surplus(shared.connect_info)
        return {"expires_in": shared.expires_at - shared.made_at}

    async def change_control(
        self, *, server_id: str, session_id: str, token_hash: str, action: str, other: str = ""
    ) -> dict[str, Any]:
        """Ask for control, hand it over, take it back, or return it.

        :param session_id: the session whose viewer wants the change.
        :param token_hash: the SHA-256 of the token of this session.  Usually, only the session's own proxy knows it, so
            no other proxy can act for the session.
        :param action: one of :data:`~novnc_twisted.contract.person.CONTROL_ACTIONS`.
        :param other: the session that gets control (``give``) or loses it (``take``).  With ``take``, an empty
            text means all sessions that got control from this one.
        :returns: ``refused``: why nothing was changed, or null.
        """
        uuid = fields.argument("server_id", server_id, fields.uuid)
        session_id = fields.argument("session_id", session_id, fields.short_text)
        other = fields.argument("other", other, fields.short_text) if other != "" else ""
        action = fields.argument("action", action, fields.one_of(*CONTROL_ACTIONS))
        sessions = await self._people.sessions(uuid)
        found = {one.id: one for one in sessions.everybody}
        own, other_session = found.get(session_id), found.get(other)
        missing = other_session is None and (other or action == GIVE)
        if own is None or own.token_hash != token_hash or missing or own is other_session:
            return {"refused": GONE}
        settled = await self._people.settled(sessions.everybody, complete=sessions.complete)
        acting = _Acting(own, other_session, sessions.everybody, settled.modes, settled.grants)
        refused = await getattr(self, f"_{action}")(acting)
        if refused is None:
            self._report(action, own, other_session)
            if action != REQUEST:
                # Update the pages, but answer now.  If a worker hangs, the calls above and this update could together
                # take longer than the calling proxy waits for the answer.
                Deferred.fromCoroutine(self._people.tell_or_log(uuid))
        return {"refused": refused}

    async def _server_of(self, token_hash: str) -> str:
        """Return the server of a token that is in the store, or with which a session was admitted."""
        record = await self._policy.known(token_hash) or await self._policy.find_in_use(token_hash)
        if record is not None:
            return (await self._policy.current(token_hash, record)).connect_info.instance_uuid
        # A session may outlive the record of its token, for instance if the record was dropped because the server had
        # more than max_tokens_per_server tokens.
        server = await self._admissions.server(token_hash)
        if server is None:
            raise InvalidToken("no session with the token is known")
        return server

    async def _request(self, acting: "_Acting") -> str | None:
        if acting.has_control:
            return NO_CONTROL
        return None if await self._people.tell(acting.own.server_id, acting.own.id) else NOBODY

    async def _give(self, acting: "_Acting") -> str | None:
        own, other = acting.own, acting.other
        if not acting.has_control or not await self._may_control(own):
            return NO_CONTROL
        # As long as a grant counts, the session that has handed its control over can do no more than watch, even if
        # another session gives it control.  So end the grants that the receiver has made.  This includes grants that do
        # not count now: they could count again as soon as the receiver has control.
        stored = await self._grants.of([one.id for one in acting.sessions])
        gave = [to for to, by in stored.items() if by == other.id]
        left = {to: by for to, by in acting.grants.items() if to not in gave}
        if settle(acting.sessions, left).modes[own.id] != CONTROL:
            # Without the grants that the receiver made, this session has no control.  So it got its control from the
            # receiver, directly or through other sessions.  It is enough to end these grants: then the receiver has
            # control again, and this session only watches.
            await self._grants.drop(gave)
            return None
        if not other.has_page:
            return BARRED
        if other.shared_from and (await self._policy.mark(other.shared_from)).mode == VIEW:
            return BARRED
        mark = await self._policy.mark(other.token_hash)
        if mark.mode == VIEW:
            if mark.mode_by != own.token_hash or other.shared_from != own.token_hash:
                return BARRED
            # The viewer of this session has limited the guest's link to viewing before (_take), and now gives the guest
            # control again.
            await self._sessions.change_mode(other.token_hash, CONTROL, own.token_hash)
        await self._grants.drop(gave)
        await self._grants.add(other, own.id, acting.sessions)
        return None

    async def _may_control(self, session: SessionInfo) -> bool:
        """Return whether a session may have the control that it has: a proxy could report a false right."""
        if session.right != CONTROL:
            return True  # it has control by a grant, which was checked when it was made
        record = await self._policy.known(session.token_hash)
        if record is None or record.connect_info.instance_uuid != session.server_id:
            return False
        state = await self._policy.state(session.token_hash, record)
        return state.revoked is None and (state.mode or record.connect_info.mode) == CONTROL

    async def _take(self, acting: "_Acting") -> str | None:
        own, target = acting.own, acting.other_session
        gave = [to for to, by in acting.grants.items() if by == own.id and (target is None or to == target.id)]
        await self._grants.drop(gave)
        if target is not None and target.right == CONTROL and target.shared_from == own.token_hash:
            # The guest's link itself permits control, so limit the token of this link to viewing.  If only the session
            # were changed, the guest would have control again after a reconnection.
            await self._sessions.change_mode(target.token_hash, VIEW, own.token_hash)
            return None
        return None if gave else NO_CONTROL

    async def _release(self, acting: "_Acting") -> str | None:
        if acting.own.id not in acting.grants:
            return NO_CONTROL
        await self._grants.drop([acting.own.id])
        return None

    def _report(self, action: str, own: SessionInfo, other: SessionInfo | None) -> None:
        self._events.report(
            ControlChanged(
                session_id=own.id,
                other_session_id=other.id if other is not None else "",
                action=action,
                console_type=own.console_type,
                address=own.client_address,
                user_id=own.user_id or "",
                project_id=own.project_id or "",
                instance_uuid=own.server_id,
                instance_name=own.server_name,
                link_id=link_id(own.token_hash),
            )
        )


class _Acting:
    """The sessions and grants of one change of control.

    :ivar own: the session whose viewer wants the change.
    :ivar other_session: the other session of the change, if there is one.
    :ivar sessions: all live sessions of the server.
    :ivar grants: the grants that count (see :mod:`.control`): receiver -> giver.
    """

    def __init__(
        self,
        own: SessionInfo,
        other_session: SessionInfo | None,
        sessions: Sequence[SessionInfo],
        modes: Any,
        grants: Any,
    ) -> None:
        self.own, self.other_session, self.sessions, self.grants = own, other_session, sessions, grants
        self.has_control = modes[own.id] == CONTROL

    @property
    def other(self) -> SessionInfo:
        """The other session, for changes that require another session."""
        assert self.other_session is not None
        return self.other_session
