"""Calls to nova-consoleauth.  Most methods take a token, but only the hashes of tokens travel on the bus."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.tokens import MAX_TOKEN, hash_of_session
from novnc_twisted.consoleauth.lease_calls import Lease, LeaseCalls
from novnc_twisted.contract import fields
from novnc_twisted.contract.admission import Admission
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.ended_session import EndedSession
from novnc_twisted.contract.history_query import HistoryQuery
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.power import PowerReply
from novnc_twisted.contract.record import read
from novnc_twisted.contract.revocation import Revocation
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.hedged import HedgedCalls
from novnc_twisted.messaging.interfaces import ITransport

_REPEATED: Final = frozenset(
    {
        *("authorize_console", "check_token", "get_vnc_password", "keep_token", "keep_tokens"),
        *("get_history", "revoke", "show_token"),
    }
)
"""The methods whose calls are repeated if no answer comes soon (:class:`.HedgedCalls`).

It does no harm if one of these methods runs twice.  For ``check_token``, ConsoleAuthAPI ensures this: the repeated
calls have the same admission id, and an InvalidToken is not taken as the answer while another call still runs.  For
``revoke``, the repeated calls have the same request id.

``set_mode`` is not repeated: if the first call ran late, it would undo a later change.
"""


class ConsoleAuthAPI:
    """The methods of consoleauth for the proxies and the API.

    Every method fails with :class:`~novnc_twisted.errors.ServiceUnavailable` if no consoleauth answers its call within
    ``deadline`` seconds.  A call of :meth:`keep_token` may first have to wait for earlier ones.

    The factories of the proxies take :meth:`check_token` as ``authorise``, :meth:`get_vnc_password` as
    ``ask_password``, and :meth:`keep_token`, :meth:`find_again` and :meth:`change_power` under their own names.

    :param now: returns the Unix time of this machine, in seconds.
    :param proxy: the topic of the worker whose sessions begin with :meth:`check_token`; empty: unknown.
    :param people: whether console pages may list the sessions of this worker.
    :param clock: the clock for repeating calls: one of several consoleauths may have died or may hang, so most methods
        repeat an unanswered call.  None: no call is repeated.
    """

    def __init__(
        self,
        transport: ITransport,
        *,
        deadline: float = 5.0,
        now: Callable[[], float] = time.time,
        proxy: str = "",
        people: bool = True,
        clock: IReactorTime | None = None,
    ) -> None:
        self._proxy: dict[str, Any] = {"proxy": proxy, "people": people} if proxy else {}
        self._transport = transport
        self._deadline = deadline
        self._now = now
        # If a call is repeated, two consoleauths may check the same token.  If the token is for one use only, one of
        # them admits it, and the other one raises InvalidToken.
        inconclusive = (ServiceUnavailable, InvalidToken)
        self._hedged = None if clock is None else HedgedCalls(transport, clock, inconclusive=inconclusive)
        self._leases = LeaseCalls(self._keep)

    async def authorize_console(
        self,
        token: str,
        connect_info: ConnectInfo,
        *,
        client_address: str | None = None,
        owner: str | None = None,
        expires_in: float | None = None,
        one_time: bool = False,
    ) -> float:
        """Let a token open a console; return the Unix time at which the token expires.

        :param connect_info: the console.  Its ``instance_uuid``, ``name`` and ``compute_host`` are required.
        :param client_address: the address of the client that asked for the token.  If the option ``bind_address`` is
            on, only this address may use the token.
        :param owner: the id or the name of the project that the server belongs to.  While the server belongs to another
            project or to no project, the token is refused.  None: the project does not matter.
        :param expires_in: seconds for which the token is valid, at most ``token_ttl``; None: ``token_ttl``.
        :param one_time: whether the token can be used only once; False: the option ``one_time`` decides.
        :raises ConsoleForbidden: the token opens another console already.
        :raises ConsoleUnreachable: a live host other than ``connect_info.compute_host`` also runs the server.
        """
        answer = await self._call(
            "authorize_console",
            token,
            connect_info=connect_info.to_wire(),
            client_address=client_address,
            owner=owner,
            expires_in=expires_in,
            one_time=one_time,
        )
        return fields.argument("expires_at of consoleauth", answer.get("expires_at"), fields.number)

    async def check_token(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Return what a token opens, with the present address of the console.

        :raises InvalidToken: the token is unknown, was used already, or has expired.
        :raises Revoked: the token was revoked.
        :raises ConsoleForbidden: the token is for another console type or another client address, or the server belongs
            to another project than when the token was made.
        :raises InstanceNotFound: no live compute host knows the server.
        :raises InstanceNotRunning: a host knows the server, and no host runs it.
        :raises ConsoleTypeUnavailable: the server has no VNC display.
        :raises ConsoleUnreachable: two running servers have the same address, or two hosts run the server.
        :raises TooManySessions: a limit is reached; the subclass says which.
        """
        # A repeated call has the same id, so that consoleauth does not count the session twice.
        admission = secrets.token_hex(16)
        return await self._check(token, console_type, client_address, admission=admission, **self._proxy)

    async def _check(self, token: str, console_type: str, client_address: str, **more: Any) -> ConnectInfo:
        about = {"console_type": console_type, "client_address": client_address}
        answer = await self._call("check_token", token, **about, **more)
        admission = read(Admission, answer, "consoleauth")
        info = admission.connect_info
        if info.expires_at is None:
            return info
        # Converted to the clock of this machine, which may differ from that of consoleauth.
        return replace(info, expires_at=self._now() + admission.expires_in)

    async def get_vnc_password(self, token: str, console_type: str, client_address: str) -> str | None:
        """Return the VNC password of the token's server; None: the server has no password."""
        answer = await self._call("get_vnc_password", token, console_type=console_type, client_address=client_address)
        password = answer.get("password")
        if password is not None and not isinstance(password, str):
            raise ServiceUnavailable("consoleauth: the password is not text")
        return password

    async def change_power(self, token: str, console_type: str, client_address: str, action: str) -> str | None:
        """Begin a power action on the token's server; return why the host did not begin it, or None.

        The reason is ``state``, ``task`` or ``transient`` (``novnc_twisted.contract.power``).

        :param action: one of :data:`novnc_twisted.contract.power.VIEWERS_ACTIONS`.
        :raises ConsoleForbidden: the token may not control the server, or it was shared for a guest.
        """
        asked = {"console_type": console_type, "client_address": client_address, "action": action}
        answer = await self._call("change_power", token, **asked)
        return read(PowerReply, answer, "consoleauth").conflict

    async def keep_token(self, token: str, client_address: str) -> str | None:
        """Renew the lease of a token: from this client address, its viewer may reconnect within 60 s.

        A token that permits no reconnection has no lease.  For such a token, this call only asks for changes.

        :return: the viewer's mode (``control``, ``view``) if it was changed; else None.
        :raises Revoked: the token was revoked.
        :raises ConsoleForbidden: the server belongs to another project than when the token was made.
        """
        answer = await self._leases.keep(_hashed(token), client_address)
        return fields.argument("mode of consoleauth", answer.get("mode"), fields.optional(fields.one_of(*MODES)))

    async def revoke(self, wanted: SessionFilter, reason: str = "") -> Revocation:
        """Revoke tokens, and end their sessions on all proxies.

        :param wanted: exactly one of token_hash, server_id, user_id and project_id; ``owner`` limits the
            revocation to the servers of a project.
        :raises ServiceUnavailable: the list of proxies cannot be read; the tokens may be revoked already.
        """
        set_fields = {name: value for name, value in wanted.to_wire().items() if value is not None}
        # A repeated call has the same id, so that it does not revoke tokens that were made since the first call.
        answer = await self._ask("revoke", reason=reason, request=secrets.token_hex(16), **set_fields)
        return read(Revocation, answer, "consoleauth")

    async def set_mode(self, token_hash: str, mode: str) -> Revocation:
        """Change what the viewers of a token may do.

        :param token_hash: the SHA-256 of the token.
        :param mode: ``control`` or ``view``.
        :return: the number of changed sessions with this token, as ``sessions``; ``tokens`` is always 0.
        :raises ServiceUnavailable: the list of proxies cannot be read; the token may be changed already.
        """
        return read(Revocation, await self._ask("set_mode", token_hash=token_hash, mode=mode), "consoleauth")

    async def find_again(self, token: str, client_address: str, info: ConnectInfo) -> ConnectInfo | None:
        """Ask once more what the token of a session opens.

        The address of the console or the state of the server may have changed since :meth:`check_token` was called.

        :param info: what :meth:`check_token` returned.
        :return: None: ``info.reconnects`` is False, for example because of ``one_time``.
        :raises Refusal: see :meth:`check_token`.
        """
        if not info.reconnects:
            return None
        return await self._check(token, info.console_type, client_address, admission=info.admission, again=True)

    async def show_token(self, token: str) -> dict[str, Any]:
        """Return what ``os-console-auth-tokens`` shows: instance_uuid, host, port and internal_access_path.

        :raises InvalidToken: the token is unknown, has expired or was revoked.
        """
        return await self._call("show_token", token)

    async def history(
        self, wanted: HistoryQuery, *, limit: int, marker: str = ""
    ) -> tuple[list[EndedSession], str | None]:
        """Return ended sessions, newest first, and the marker of the next page; None: this is the last page.

        A page may be empty although another page follows.
        """
        set_fields = {name: value for name, value in wanted.to_wire().items() if value is not None}
        answer = await self._ask("get_history", limit=limit, marker=marker, **set_fields)
        rows = answer.get("sessions")
        if not isinstance(rows, list):
            raise ServiceUnavailable("consoleauth: the history is not a list")
        following = fields.argument("next of consoleauth", answer.get("next"), fields.optional(fields.short_text))
        return [read(EndedSession, row, "consoleauth") for row in rows], following

    async def _call(self, method: str, token: str, **arguments: Any) -> dict[str, Any]:
        return await self._ask(method, token_hash=_hashed(token), **arguments)

    async def _keep(self, leases: Sequence[Lease]) -> Any:
        """Renew leases; return an answer for each."""
        if len(leases) == 1:
            ((token_hash, address),) = leases
            return [await self._ask("keep_token", token_hash=token_hash, client_address=address)]
        return (await self._ask("keep_tokens", tokens=[list(lease) for lease in leases])).get("tokens")

    async def _ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        calls = self._hedged if self._hedged is not None and method in _REPEATED else self._transport
        answer = await calls.call(CONSOLEAUTH.name, method, deadline=self._deadline, **arguments)
        if not isinstance(answer, dict):
            raise ServiceUnavailable(f"consoleauth: the answer to {method} is not an object")
        return answer


def _hashed(token: str) -> str:
    """Return the SHA-256 of a token.

    :raises InvalidToken: the token is empty or too long.  Clients must not make us hash megabytes.
    """
    if not token or len(token) > MAX_TOKEN:
        raise InvalidToken("the token is empty or too long")
    return hash_of_session(token)
