"""nova-consoleauth on the bus (nova's ``consoleauth/manager.py`` of Essex, and today's ``console_auth_token``)."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth.history import History
from novnc_twisted.consoleauth.host_methods import HostMethods
from novnc_twisted.consoleauth.live_sessions import LiveSessions
from novnc_twisted.consoleauth.places import Places
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.rules import TokenRules, TokenTerms
from novnc_twisted.consoleauth.session_counts import SessionCounts, SessionRules
from novnc_twisted.consoleauth.session_methods import SessionMethods
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.consoleauth.token_places import TokenPlaces
from novnc_twisted.contract import fields
from novnc_twisted.contract.admission import Admission
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.place import Place
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.contract.topics import CONSOLEAUTH, CONSOLEAUTH_BINARY
from novnc_twisted.errors import ConsoleForbidden, Refusal, ServiceUnavailable
from novnc_twisted.events.records import Observer
from novnc_twisted.messaging.interfaces import ITransport, Method


class ConsoleAuthManager:
    """Serves the topic ``consoleauth``.  Any number of managers may serve it over one store.

    :param transport: calls, presence and the store.
    :param clock: IReactorTime.
    :param token_ttl: seconds for which a token is valid.
    :param enforce_session_timeout: sessions end when their tokens expire, and cannot be resumed.
    :param one_time: a token opens one console once.
    :param bind_address: a token is valid from one client address: the address for which it was made, if the API named
        one, else the address that uses it first.
    :param max_tokens_per_server: a further token drops the oldest token of the server; 0: no limit.
    :param max_tokens_per_user: a further token drops the oldest token that the user asked for; 0: no limit.
    :param history_retention: seconds for which ended sessions are kept; 0: none are kept.
    :param session_rules: limits of sessions over all proxies; None: no limits.
    :param host: the host name under which the service is listed.
    :param now: returns Unix time in seconds; None: the clock of the store, which all managers share.
    :param observer: called with an event for each token made, used, refused or dropped (``novnc_twisted.events``).
    """

    def __init__(
        self,
        transport: ITransport,
        clock: IReactorTime,
        *,
        token_ttl: float = 600,
        enforce_session_timeout: bool = False,
        one_time: bool = False,
        bind_address: bool = False,
        max_tokens_per_server: int = 64,
        max_tokens_per_user: int = 1024,
        history_retention: float = 604_800,
        session_rules: SessionRules | None = None,
        host: str = "localhost",
        now: Callable[[], float] | None = None,
        observer: Observer = lambda _event: None,
    ) -> None:
        rules = TokenRules(
            token_ttl=token_ttl,
            enforce_session_timeout=enforce_session_timeout,
            one_time=one_time,
            bind_address=bind_address,
            max_tokens_per_server=max_tokens_per_server,
            max_tokens_per_user=max_tokens_per_user,
        )
        self._transport = transport
        self._clock = clock
        self._policy = TokenPolicy(transport.store, clock, rules, now)
        self._places = Places(transport, clock)
        self._token_places = TokenPlaces(self._places)
        self._counts = SessionCounts(transport, clock, session_rules or SessionRules())
        self._host = host
        self._events = TokenEvents(observer)
        self._sessions = LiveSessions(transport, clock)
        history = History(transport.store, history_retention, now)
        self._session_methods = SessionMethods(self._policy, self._sessions, history, self._events)
        self._host_methods = HostMethods(transport, self._policy, self._token_places.locate)
        self._withdraw: Callable[[], Deferred[None]] | None = None

    def use_limits(
        self, max_tokens_per_server: int, max_tokens_per_user: int, session_rules: SessionRules | None
    ) -> None:
        """Use other values of these arguments for new tokens and new sessions."""
        self._policy.limit(max_tokens_per_server, max_tokens_per_user)
        self._counts.rules = session_rules or SessionRules()

    def start(self) -> Deferred[None]:
        """Serve the topic."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop serving; the tokens stay in the store."""
        return Deferred.fromCoroutine(self._stop())

    async def check_store(self) -> None:
        """Check that the store takes tokens.

        :raises ServiceUnavailable: it does not.
        """
        await self._policy.check_store()

    async def _start(self) -> None:
        self._withdraw = await self._transport.serve(
            CONSOLEAUTH.name,
            {name: self._method(name) for name in CONSOLEAUTH.methods},
            binary=CONSOLEAUTH_BINARY,
            host=self._host,
            callers=CONSOLEAUTH.methods,
        )
        # After serving: the first call does not wait for it.
        self._places.prepare()

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        # First: calls that are being answered may still need the others.
        if withdraw is not None:
            await withdraw()
        self._places.stop()
        self._sessions.stop()

    def _method(self, name: str) -> Method:
        parts = (self, self._session_methods, self._host_methods)
        method: Method = getattr(next(part for part in parts if hasattr(part, name)), name)
        return method

    # --- methods on the bus

    async def authorize_console(
        self,
        *,
        token_hash: str,
        connect_info: dict[str, Any],
        client_address: str | None = None,
        owner: str | None = None,
        expires_in: float | None = None,
        one_time: bool = False,
    ) -> dict[str, Any]:
        """Let a token open a console from now on.

        :param token_hash: the SHA-256 of the token.
        :param connect_info: a :class:`~novnc_twisted.contract.ConnectInfo` with the server, its name and its compute
            host: what the token opens.
        :param client_address: the address of the client that asked for the token, if the API knows it.
        :param owner: the id or the name of the project that the server belongs to.  The token is refused as soon as
            the XML of the server names another project or none.  None: the project does not matter.
        :param expires_in: seconds for which the token is valid; None, or more than ``token_ttl``: ``token_ttl``.
        :param one_time: whether the token opens one console once, whatever the option says.
        :returns: ``expires_at``, Unix time in seconds.
        :raises ConsoleForbidden: the token opens another console already.
        :raises ConsoleUnreachable: another live host than the compute host of ``connect_info`` runs the server, too.
        :raises ServiceUnavailable: an argument is invalid; the detail names it.
        """
        token_hash, info = _hash(token_hash), read(ConnectInfo, connect_info, "connect_info")
        if not (info.instance_uuid and info.name and info.compute_host):
            raise ServiceUnavailable("connect_info: instance_uuid, name and compute_host are required")
        terms = TokenTerms(
            client_address=fields.argument("client_address", client_address, fields.optional(fields.short_text)),
            owner=fields.argument("owner", owner, fields.optional(fields.text)),
            expires_in=fields.argument("expires_in", expires_in, fields.optional(fields.number)),
            one_time=fields.argument("one_time", one_time, fields.boolean),
        )
        expires_at = await self._policy.authorized(token_hash, info)
        if expires_at is not None:
            return {"expires_at": expires_at}
        # Before the token is stored: a host that claims a foreign server's UUID gets no link for it.
        await self._places.refuse_if_running_elsewhere(info.instance_uuid, info.console_type, info.compute_host)
        # Stored before the surplus is dropped, so that concurrent calls cannot exceed the limit together.
        record = await self._policy.add(token_hash, info, terms)
        self._events.made(token_hash, record)
        dropped = await self._policy.drop_surplus_of_instance(info.instance_uuid)
        self._events.dropped(dropped, "max_tokens_per_server", SessionFilter(server_id=info.instance_uuid))
        if info.user_id:
            dropped = await self._policy.drop_surplus_of_user(info.user_id)
            self._events.dropped(dropped, "max_tokens_per_user", SessionFilter(user_id=info.user_id))
        return {"expires_at": record.expires_at}

    async def check_token(self, *, token_hash: str, console_type: str, client_address: str) -> dict[str, Any]:
        """Return what a token opens, as an :class:`~novnc_twisted.contract.Admission`.

        :raises Refusal: see ``ConsoleAuthAPI.check_token``.
        """
        token_hash, address = _hash(token_hash), _address(client_address)
        record = None
        try:
            record = await self._policy.find(token_hash)
            await self._policy.check(token_hash, record, console_type, address)
            # A cheap check first, so that a used token does not cause calls to compute hosts; use() below decides.
            await self._policy.check_unused(token_hash, record)
            began = self._clock.seconds()
            place = await self._locate_unless_revoked(token_hash, record)
            place_seconds = self._clock.seconds() - began
            # After the compute host was asked: meanwhile the token may have been revoked or changed.
            record = await self._policy.current(token_hash, record)
            await self._counts.check(record.connect_info, address)
            admission = await self._admission(token_hash, record, address, place)
        except Refusal as refusal:
            self._events.refused(token_hash, record, address, refusal)
            raise
        self._events.used(token_hash, record, address, place_seconds)
        return admission.to_wire()

    async def keep_token(self, *, token_hash: str, client_address: str) -> dict[str, Any]:
        """Renew the lease of a token: its session lives, or was lost now, and may come back for 60 s.

        The lease is for this client address.  A token that the store has lost is restored; a token that was dropped is
        not.

        :returns: ``mode``: what the viewer may do, if that was changed; else null.
        :raises Revoked: the token was revoked.
        :raises ConsoleForbidden: the server belongs to another project than when the token was made.
        """
        token_hash, address = _hash(token_hash), _address(client_address)
        record = await self._policy.find_in_use(token_hash)
        if record is not None:
            try:
                await self._token_places.check_owner(record)
            except ConsoleForbidden as refusal:
                self._events.refused(token_hash, record, address, refusal)
                raise
        return {"mode": await self._policy.renew(token_hash, record, address)}

    async def show_token(self, *, token_hash: str) -> dict[str, Any]:
        """Return what a token opens, for administrators (nova's ``os-console-auth-tokens``).

        :raises InvalidToken: it is unknown or has expired.
        """
        info = (await self._policy.valid(_hash(token_hash))).connect_info
        return {
            "instance_uuid": info.instance_uuid,
            "host": info.host,
            "port": info.port,
            "internal_access_path": info.internal_access_path,
        }

    async def delete_tokens_for_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop the tokens of a server; returns how many were ``deleted``."""
        return {"deleted": await self._drop(_uuid(instance_uuid), "deleted by the API")}

    async def instance_gone(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop the tokens of a server that a compute host has lost, if every live host says that it has no such server.

        :returns: whether the server is ``gone``, and how many tokens were ``deleted``.
        :raises ServiceUnavailable: a host does not answer.
        """
        uuid = _uuid(instance_uuid)
        if not await self._places.is_gone(uuid, await self._policy.hosts_of_instance(uuid)):
            return {"gone": False, "deleted": 0}
        return {"gone": True, "deleted": await self._drop(uuid, "the server is gone")}

    # --- internals

    async def _admission(self, token_hash: str, record: TokenRecord, address: str, place: Place) -> Admission:
        # Last, so that a refusal by the compute host does not use the token up.
        await self._policy.use(token_hash, record, address)
        left = await self._policy.seconds_left(record)
        info = self._policy.session_terms(record, left).at(place)
        return Admission(connect_info=info, expires_in=max(0.0, left))

    async def _locate_unless_revoked(self, token_hash: str, record: TokenRecord) -> Place:
        """Return where a token's console is now.

        :raises Revoked: there is no such place, and the token was revoked, which is the better reason.
        """
        try:
            return await self._token_places.locate(record)
        except Refusal:
            await self._policy.current(token_hash, record)
            raise

    async def _drop(self, instance_uuid: str, reason: str) -> int:
        deleted = await self._policy.drop_of_instance(instance_uuid)
        self._events.dropped(deleted, reason, SessionFilter(server_id=instance_uuid))
        # Not awaited: a proxy that does not answer must not delay the caller.
        Deferred.fromCoroutine(self._sessions.end_of_server(instance_uuid, reason))
        return deleted


def _hash(token_hash: str) -> str:
    return fields.argument("token_hash", token_hash, fields.token_hash)


def _address(client_address: str) -> str:
    return fields.argument("client_address", client_address, fields.short_text)


def _uuid(instance_uuid: str) -> str:
    return fields.argument("instance_uuid", instance_uuid, fields.uuid)
