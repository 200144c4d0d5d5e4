"""The one owner of token policy (nova's ``consoleauth/manager.py`` of Essex, and today's ``console_auth_token``)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.access.forwarded import UNKNOWN
from novnc_twisted.consoleauth.places import Place, Places
from novnc_twisted.consoleauth.recent import RecentTokens
from novnc_twisted.consoleauth.store import DROPPED, GRACE, LEASE, TokenRecord, TokenStore
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import read
from novnc_twisted.contract.topics import COMPUTE, CONSOLEAUTH, CONSOLEAUTH_BINARY
from novnc_twisted.errors import ConsoleForbidden, InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport

_ON_ITS_WAY = 30.0  # at most, from our answer to a live session: its set-up's deadline
_PASSWORD_DEADLINE = 1.4  # after a walk of 3.5 s at most, inside the 5 s that a caller waits


_log = Logger()


class ConsoleAuthManager:
    """Serves the topic ``consoleauth``; any number of them may, over one store.

    :param transport: calls, presence and the store.
    :param clock: IReactorTime.
    :param token_ttl: seconds for which a token is valid from its making.
    :param enforce_session_timeout: sessions end when their token does, and do not come back.
    :param one_time: a token opens one console once.
    :param bind_address: a token is good from one client address only: of who asked for it, where the API said, else
        of who used it first.
    :param max_tokens_per_server: one more drops the oldest; 0: no limit.
    :param max_tokens_per_user: the same for all that one user asked for.
    :param host: the name under which it is listed.
    :param now: Unix time in seconds; None: the store's, one clock for every consoleauth.
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
        host: str = "localhost",
        now: Callable[[], float] | None = None,
    ) -> None:
        self._transport = transport
        self._tokens = TokenStore(transport.store)
        self._places = Places(transport, clock)
        self._ttl = token_ttl
        self._enforce = enforce_session_timeout
        self._one_time = one_time
        self._bind = bind_address
        self._max = max_tokens_per_server
        self._max_per_user = max_tokens_per_user
        self._host = host
        self._now = now
        self._clock = clock
        self._quiet_until = clock.seconds()
        self._recent = RecentTokens(clock, min(token_ttl + LEASE + GRACE, DROPPED))
        self._withdraw: Callable[[], Deferred[None]] | None = None

    def start(self) -> Deferred[None]:
        """Begin to serve."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Serve no more; tokens stay in the store."""
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        self._withdraw = await self._transport.serve(
            CONSOLEAUTH.name,
            {name: getattr(self, name) for name in CONSOLEAUTH.methods},
            binary=CONSOLEAUTH_BINARY,
            host=self._host,
            callers=CONSOLEAUTH.methods,
        )

    async def _stop(self) -> None:
        withdraw, self._withdraw = self._withdraw, None
        if withdraw is not None:
            await withdraw()

    async def authorize_console(
        self,
        *,
        token_hash: str,
        console_type: str,
        host: str,
        port: int,
        socket: str | None,
        internal_access_path: str | None,
        instance_uuid: str,
        name: str,
        user_id: str | None,
        project_id: str | None,
        compute_host: str,
        client_address: str | None = None,
        owner: str | None = None,
    ) -> dict[str, Any]:
        """Let a token open a console from now on.

        :param owner: the project that the server belongs to, its id or its name: the one by which the caller may open
            it.  The token is refused as soon as the server's XML names another project, or none, on whichever host.
            None: whichever project it belongs to.
        :returns: ``expires_at``, Unix time in seconds.
        :raises ConsoleForbidden: the token opens another console already.
        :raises ConsoleUnreachable: another live host than compute_host runs the server, too.
        :raises ServiceUnavailable: a field can't be used; the detail names it.
        """
        token_hash = _hash(token_hash)
        asked = {
            "host": host,
            "port": port,
            "socket": socket,
            "internal_access_path": internal_access_path,
            "instance_uuid": fields.argument("instance_uuid", instance_uuid, fields.uuid),
            "name": name,
            "console_type": console_type,
            "user_id": user_id,
            "project_id": project_id,
            "compute_host": fields.argument("compute_host", compute_host, fields.short_text),
        }
        info = read(ConnectInfo, asked, "authorize_console")
        address = fields.argument("client_address", client_address, fields.optional(fields.short_text))
        owner = fields.argument("owner", owner, fields.optional(fields.text))
        known = await self._tokens.get(token_hash)
        if known is not None:
            if replace(known.connect_info, host=info.host, port=info.port, socket=info.socket) != info:
                raise ConsoleForbidden("the token is in use for another console")
            return {"expires_at": known.expires_at}  # the same call once more: its first answer was lost
        await self._places.refuse_rivals(info.instance_uuid, console_type, compute_host)
        record = TokenRecord(info, await self._time() + self._ttl, address, owner)
        await self._tokens.put(token_hash, record, self._ttl)
        if self._max:
            await self._tokens.remove_of_instance(info.instance_uuid, self._max)
        if self._max_per_user and info.user_id:
            await self._tokens.remove_of_user(info.user_id, self._max_per_user)
        return {"expires_at": record.expires_at}

    async def check_token(self, *, token_hash: str, console_type: str, client_address: str) -> dict[str, Any]:
        """Where the token's console is now, as ``ConnectInfo.to_wire()``, and the seconds left, ``expires_in``.

        :raises Refusal: see ``ConsoleAuthAPI.check_token``.
        """
        record = await self._admit(token_hash, console_type, client_address)
        if self._one_time and await self._tokens.claimed("used", token_hash) is not None:
            raise InvalidToken("it was used already")
        info = record.connect_info
        place = await self._locate(record)
        # Claimed last, so that a server that was not ready costs nobody the token.
        if self._one_time and not await self._tokens.claim_once("used", token_hash, client_address, self._ttl):
            raise InvalidToken("it was used already")
        self._remember(_hash(token_hash), record)
        left = record.expires_at - await self._time()
        found = replace(
            info,
            host=place.host,
            port=place.port,
            socket=place.socket,
            name=place.name,
            compute_host=place.compute_host,
            expires_at=record.expires_at if self._enforce else None,
            reconnects=not (self._one_time or self._enforce),
            keep_from=max(0.0, left - LEASE - _ON_ITS_WAY),
        )
        return {**found.to_wire(), "expires_in": max(0.0, left)}

    async def get_vnc_password(self, *, token_hash: str, console_type: str, client_address: str) -> dict[str, Any]:
        """The VNC password of the token's server; asked of its compute host, and kept nowhere.

        With ``one_time`` only for the address that used the token.
        """
        record = await self._admit(token_hash, console_type, client_address)
        if self._one_time and await self._tokens.claimed("used", token_hash) != client_address:
            raise InvalidToken("it was not used from here")
        info = record.connect_info
        place = await self._locate(record)
        answer = await self._transport.call(
            COMPUTE.of(place.compute_host),
            "get_vnc_password",
            deadline=_PASSWORD_DEADLINE,
            instance_uuid=info.instance_uuid,
        )
        password = answer.get("password") if isinstance(answer, dict) else ""
        if password is not None and (not isinstance(password, str) or not password):
            raise ServiceUnavailable(f"{place.compute_host} gave no usable password")
        return {"password": password}

    async def keep_token(self, *, token_hash: str, client_address: str) -> dict[str, Any]:
        """A session of this token lives, or was lost just now: it may come back for 60 s from the same address.

        A token that the store has lost is restored; a token that was dropped stays dropped.
        """
        token_hash = _hash(token_hash)
        address = fields.argument("client_address", client_address, fields.short_text)
        if self._one_time or self._enforce:
            return {}
        record = await self._tokens.get(token_hash) or await self._restored(token_hash, LEASE + GRACE)
        if record is None:
            return {}
        self._remember(token_hash, record)
        await self._tokens.lease(token_hash, address, await self._time() + LEASE)
        return {}

    async def show_token(self, *, token_hash: str) -> dict[str, Any]:
        """What a token opens, for administrators (nova's ``os-console-auth-tokens``); InvalidToken once it expired."""
        record = await self._tokens.get(_hash(token_hash))
        if record is None or record.expires_at <= await self._time():
            raise InvalidToken("it is unknown or has expired")
        info = record.connect_info
        return {
            "instance_uuid": info.instance_uuid,
            "host": info.host,
            "port": info.port,
            "internal_access_path": info.internal_access_path,
        }

    async def delete_tokens_for_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop a server's tokens: it is gone from every live host.  Gives how many were ``deleted``."""
        uuid = fields.argument("instance_uuid", instance_uuid, fields.uuid)
        self._recent.forget_instance(uuid)
        until = await self._time() + self._ttl
        return {"deleted": await self._tokens.remove_of_instance(uuid, until=until)}

    async def instance_gone(self, *, instance_uuid: str) -> dict[str, Any]:
        """A compute host has lost a server: its tokens are dropped if every live host says so.

        :returns: whether it is ``gone``, and how many tokens were ``deleted``.
        :raises ServiceUnavailable: a host does not answer.
        """
        uuid = fields.argument("instance_uuid", instance_uuid, fields.uuid)
        if not await self._places.is_gone(uuid, await self._tokens.hosts_of_instance(uuid)):
            return {"gone": False, "deleted": 0}
        return {"gone": True, **await self.delete_tokens_for_instance(instance_uuid=uuid)}

    async def _locate(self, record: TokenRecord) -> Place:
        """Where a token's console is now, if the server still belongs to the project for which it was made."""
        info = record.connect_info
        place = await self._places.locate(info.instance_uuid, info.console_type, info.port, info.compute_host)
        if record.owner is None:
            return place
        if place.owners is None:
            raise ServiceUnavailable(f"{place.compute_host} does not say which project the server belongs to")
        if record.owner not in place.owners:
            raise ConsoleForbidden(f"on {place.compute_host} the server belongs to another project than it did")
        return place

    async def _admit(self, token_hash: str, console_type: str, client_address: str) -> TokenRecord:
        """The record of a token that is good here and now."""
        token_hash = _hash(token_hash)
        address = fields.argument("client_address", client_address, fields.short_text)
        record = await self._tokens.get(token_hash)
        if record is None:
            record = await self._found_again(token_hash)
        await self._check_time(token_hash, record, address)
        if record.connect_info.console_type != console_type:
            raise ConsoleForbidden(f"it is for a console of type {record.connect_info.console_type}")
        if self._bind and address == UNKNOWN:
            raise ConsoleForbidden("bind_address is on, and X-Forwarded-For held no address that can be read")
        if self._bind:
            bound = record.client_address or await self._tokens.claim("bound", token_hash, address, self._ttl)
            if bound != address:
                raise ConsoleForbidden("it is bound to another client address")
        return record

    async def _found_again(self, token_hash: str) -> TokenRecord:
        """The record of a valid token that the store has lost."""
        known = self._recent.get(token_hash)
        left = 0.0 if known is None else known.expires_at - await self._time()
        record = await self._restored(token_hash, left + LEASE) if left > 0 else None
        if record is None:
            raise InvalidToken("it is unknown")
        return record

    def _remember(self, token_hash: str, record: TokenRecord) -> None:
        """Keep a record that is in use, if the store may lose it and it could be restored."""
        if self._transport.store.may_lose_data and not self._one_time:
            self._recent.used(token_hash, record)

    async def _restored(self, token_hash: str, ttl: float) -> TokenRecord | None:
        """Restore a record that the store has lost, if this process knows it and nobody has dropped it.

        Not where the store held more about it, which is lost as well: whether it was used, and from where.
        """
        record = self._recent.get(token_hash)
        if record is None or self._one_time or (self._bind and record.client_address is None):
            return None
        if await self._tokens.was_dropped(record):
            self._recent.forget(token_hash)
            return None
        await self._tokens.restore(token_hash, record, ttl)
        now = self._clock.seconds()
        if now >= self._quiet_until:
            self._quiet_until = now + 60
            _log.warn("the store has lost tokens that are in use; they are restored. Has Redis appendonly yes?")
        return record

    async def _time(self) -> float:
        """Unix time in seconds, by one clock for every consoleauth."""
        return await self._tokens.now() if self._now is None else self._now()

    async def _check_time(self, token_hash: str, record: TokenRecord, address: str) -> None:
        now = await self._time()
        if now < record.expires_at:
            return
        if self._one_time or self._enforce or await self._tokens.leased_until(token_hash, address) <= now:
            raise InvalidToken("it has expired")


def _hash(token_hash: str) -> str:
    return fields.argument("token_hash", token_hash, fields.token_hash)
