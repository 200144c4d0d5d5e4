"""The caller's side of nova-consoleauth: takes plain tokens, and puts only their hashes on the bus."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from novnc_twisted.access.tokens import MAX_TOKEN, hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.admission import Admission
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import read
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import InvalidToken, ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport


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
        connect_info: ConnectInfo,
        *,
        client_address: str | None = None,
        owner: str | None = None,
    ) -> float:
        """Let a token open a console; return the Unix time at which the token expires.

        :param connect_info: the console, with its server, the server's name and its compute host.
        :param client_address: the address of the client that asked for the token: with ``bind_address``, only this
            address may use it.
        :param owner: the id or the name of the project that the server belongs to.  As soon as the server belongs to
            another project or none, the token opens nothing.  None: the project does not matter.
        :raises ConsoleForbidden: the token opens another console already.
        :raises ConsoleUnreachable: another live host than ``connect_info.compute_host`` runs the server, too.
        """
        answer = await self._call(
            "authorize_console",
            token,
            connect_info=connect_info.to_wire(),
            client_address=client_address,
            owner=owner,
        )
        return fields.argument("expires_at of consoleauth", answer.get("expires_at"), fields.number)

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
        admission = read(Admission, answer, "consoleauth")
        info = admission.connect_info
        if info.expires_at is None:
            return info
        # By the clock of this machine, which may differ from the clock by which the token expires.
        return replace(info, expires_at=self._now() + admission.expires_in)

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

    async def _call(self, method: str, token: str, **arguments: Any) -> dict[str, Any]:
        if not token or len(token) > MAX_TOKEN:
            raise InvalidToken("no token of ours has this length")
        answer = await self._transport.call(
            CONSOLEAUTH.name, method, deadline=self._deadline, token_hash=hash_token(token), **arguments
        )
        if not isinstance(answer, dict):
            raise ServiceUnavailable(f"consoleauth gave no object for {method}")
        return answer
