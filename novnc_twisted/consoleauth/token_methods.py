"""The methods of consoleauth that make, show and drop tokens."""

from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.live_sessions import LiveSessions
from novnc_twisted.consoleauth.places import Places
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.rules import TokenTerms
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ServiceUnavailable


class TokenMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(self, policy: TokenPolicy, places: Places, sessions: LiveSessions, events: TokenEvents) -> None:
        self._policy = policy
        self._places = places
        self._sessions = sessions
        self._events = events

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
        :param connect_info: what the token opens, as a :class:`~novnc_twisted.contract.ConnectInfo`.  Its fields
            ``instance_uuid``, ``name`` and ``compute_host`` are required.
        :param client_address: the address of the client that asked for the token, if the API knows it.
        :param owner: the id or the name of the project that the server belongs to.  The token is refused as soon as
            the domain XML of the server names another project or no project.  None: the project does not matter.
        :param expires_in: seconds for which the token is valid, at most ``token_ttl``; None: ``token_ttl``.
        :param one_time: whether the token can be used only once; False: ``[consoleauth] one_time`` decides.
        :returns: ``expires_at``, Unix time in seconds.
        :raises ConsoleForbidden: the token opens another console already.
        :raises ConsoleUnreachable: a live host other than the compute host of ``connect_info`` also runs the server.
        :raises ServiceUnavailable: an argument is invalid, and the detail names it; or the list of live hosts or the
            store cannot be used.
        """
        token_hash, info = arguments.token_hash(token_hash), read(ConnectInfo, connect_info, "connect_info")
        if not (info.instance_uuid and info.name and info.compute_host):
            raise ServiceUnavailable("connect_info: instance_uuid, name and compute_host are required")
        terms = TokenTerms(
            client_address=fields.argument("client_address", client_address, fields.optional(fields.short_text)),
            owner=fields.argument("owner", owner, fields.optional(fields.text)),
            expires_in=fields.argument("expires_in", expires_in, fields.optional(fields.number)),
            one_time=fields.argument("one_time", one_time, fields.boolean),
        )
        expires_at = await self._policy.authorized(token_hash, info)
        if expires_at is not None:  # a repeated call gets the first answer again
            return {"expires_at": expires_at}
        # Checked before the token is stored: if a host claims the UUID of another host's server, the token would lead
        # users of that server to the wrong host.
        await self._places.refuse_if_running_elsewhere(info.instance_uuid, info.console_type, info.compute_host)
        # Store the token before the surplus is dropped, so that concurrent calls cannot exceed the limit together.
        record = await self._policy.add(token_hash, info, terms)
        self._events.made(token_hash, record)
        await self.drop_surplus(info)
        return {"expires_at": record.expires_at}

    async def show_token(self, *, token_hash: str) -> dict[str, Any]:
        """Return what a token opens, for administrators (nova's ``os-console-auth-tokens``).

        :raises InvalidToken: the token is unknown, has expired or was revoked.
        """
        info = (await self._policy.valid(arguments.token_hash(token_hash))).connect_info
        return {
            "instance_uuid": info.instance_uuid,
            "host": info.host,
            "port": info.port,
            "internal_access_path": info.internal_access_path,
        }

    async def delete_tokens_for_instance(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop the tokens of a server, and begin to end its sessions; return how many tokens were ``deleted``."""
        return {"deleted": await self._drop(arguments.instance_uuid(instance_uuid), "deleted by the API")}

    async def instance_gone(self, *, instance_uuid: str) -> dict[str, Any]:
        """Drop the tokens of a server that has vanished from a compute host, if no other host has the server.

        If the tokens are dropped, the sessions of the server are also ended, in the background.

        :returns: whether the server is ``gone``, and how many tokens were ``deleted``.
        :raises ServiceUnavailable: a host that may have the server does not answer, or its compute service is down.
        """
        uuid = arguments.instance_uuid(instance_uuid)
        if not await self._places.is_gone(uuid, await self._policy.hosts_of_instance(uuid)):
            return {"gone": False, "deleted": 0}
        return {"gone": True, "deleted": await self._drop(uuid, "the server is gone")}

    async def drop_surplus(self, info: ConnectInfo) -> None:
        """Drop the oldest tokens above the limits for the server and the user.  Shared tokens are counted too."""
        dropped = await self._policy.drop_surplus_of_instance(info.instance_uuid)
        self._events.dropped(dropped, "max_tokens_per_server", SessionFilter(server_id=info.instance_uuid))
        if info.user_id:
            dropped = await self._policy.drop_surplus_of_user(info.user_id)
            self._events.dropped(dropped, "max_tokens_per_user", SessionFilter(user_id=info.user_id))

    async def _drop(self, instance_uuid: str, reason: str) -> int:
        deleted, made_until = await self._policy.drop_of_instance(instance_uuid, reason)
        self._events.dropped(deleted, reason, SessionFilter(server_id=instance_uuid))
        # Not awaited: a proxy that does not answer must not delay the caller.
        Deferred.fromCoroutine(self._sessions.end_of_server(instance_uuid, made_until, reason))
        return deleted
