"""The caller's side of nova-consoleauth: takes plain tokens, and puts only their hashes on the bus."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import read
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport

MAX_TOKEN = 256
"""Characters of the longest token that is asked for; ours have 36."""


class ConsoleAuthAPI:
    """What fronts and the API ask consoleauth.

    Every method fails with :class:`~novnc_twisted.errors.ServiceUnavailable` where no consoleauth answers within
    ``deadline`` seconds.  :meth:`check_token`, :meth:`get_vnc_password` and :meth:`keep_token` are what the fronts'
    factories take as ``authorise``, ``ask_password`` and ``keep_token``.

    :param now: Unix time of this machine, in seconds.
    """

    def __init__(self, transport: ITransport, *, deadline: float = 5.0, now: Callable[[], float] = time.time) -> None:
        self._transport = transport
        self._deadline = deadline
        self._now = now

    async def authorize_console(
        self,
        token: str,
        *,
        console_type: str,
        host: str,
        port: int,
        instance_uuid: str,
        compute_host: str,
        name: str,
        socket: str | None = None,
        internal_access_path: str | None = None,
        user_id: str | None = None,
        project_id: str | None = None,
        client_address: str | None = None,
        owner: str | None = None,
    ) -> float:
        """Let the token open this console; gives the Unix time at which it expires.

        :param client_address: who asked for it: with ``bind_address`` nobody else may use it.
        :param owner: the project that the server belongs to, its id or its name.  Once the server belongs to another
            one, or to none, the token opens nothing.  None: it opens the server whichever project it belongs to.
        :raises ConsoleUnreachable: another live host than ``compute_host`` runs the server, too.
        """
        answer = await self._call(
            "authorize_console",
            token,
            console_type=console_type,
            host=host,
            port=port,
            socket=socket,
            internal_access_path=internal_access_path,
            instance_uuid=instance_uuid,
            name=name,
            user_id=user_id,
            project_id=project_id,
            compute_host=compute_host,
            client_address=client_address,
            owner=owner,
        )
        expires_at = answer.get("expires_at")
        if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
            raise ServiceUnavailable("consoleauth gave no usable expires_at")
        return float(expires_at)

    async def check_token(self, token: str, console_type: str, client_address: str) -> ConnectInfo:
        """Where the console of this token is now.

        :raises InvalidToken: unknown, used up or expired.
        :raises ConsoleForbidden: made for another kind of console or another client address.
        :raises InstanceNotFound: no live compute host knows the server.
        :raises InstanceNotRunning: one knows it, none runs it.
        :raises ConsoleTypeUnavailable: it has no VNC display.
        :raises ConsoleUnreachable: two running servers claim its address, or two hosts run it.
        """
        answer = await self._call("check_token", token, console_type=console_type, client_address=client_address)
        info = read(ConnectInfo, answer, "consoleauth")
        left = answer.get("expires_in")
        if info.expires_at is None or isinstance(left, bool) or not isinstance(left, int | float):
            return info
        # By this machine's clock, which may differ from the one by which the token expires.
        return replace(info, expires_at=self._now() + left)

    async def get_vnc_password(self, token: str, console_type: str, client_address: str) -> str | None:
        """The VNC password of the token's server, for the one connection that needs it; None: it has none."""
        answer = await self._call("get_vnc_password", token, console_type=console_type, client_address=client_address)
        password = answer.get("password")
        if password is not None and not isinstance(password, str):
            raise ServiceUnavailable("consoleauth gave no usable password")
        return password

    async def keep_token(self, token: str, client_address: str) -> None:
        """Say that a session of this token lives, or was lost just now: it may then come back for 60 s."""
        await self._call("keep_token", token, client_address=client_address)

    async def show_token(self, token: str) -> dict[str, Any]:
        """What ``os-console-auth-tokens`` shows: instance_uuid, host, port, internal_access_path.

        :raises InvalidToken: unknown or expired.
        """
        return await self._call("show_token", token)

    async def delete_tokens_for_instance(self, instance_uuid: str) -> int:
        """Drop every token of a server; how many there were."""
        answer = await self._transport.call(
            CONSOLEAUTH.name, "delete_tokens_for_instance", deadline=self._deadline, instance_uuid=instance_uuid
        )
        deleted = answer.get("deleted") if isinstance(answer, dict) else None
        if not isinstance(deleted, int):
            raise ServiceUnavailable("consoleauth gave no usable number of tokens")
        return deleted

    async def _call(self, method: str, token: str, **arguments: Any) -> dict[str, Any]:
        if not token or len(token) > MAX_TOKEN:
            raise InvalidToken("no token of ours has this length")
        answer = await self._transport.call(
            CONSOLEAUTH.name, method, deadline=self._deadline, token_hash=hash_token(token), **arguments
        )
        if not isinstance(answer, dict):
            raise ServiceUnavailable(f"consoleauth gave no object for {method}")
        return answer
