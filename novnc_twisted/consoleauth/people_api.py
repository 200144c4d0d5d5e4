"""Calls of a proxy to consoleauth for console pages: the list of people, control, and links for guests."""

from typing import Any
from uuid import uuid4

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.shared_link import SharedLink
from novnc_twisted.contract.topics import CONSOLEAUTH
from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.messaging.interfaces import ITransport


class PeopleAPI:
    """Makes the calls of one worker of the noVNC proxy.

    The proxy's factory takes this object as its argument ``people``; see :class:`novnc_twisted.session.people.People`.

    :param topic: the worker's topic, on which consoleauth calls the worker.
    """

    def __init__(self, transport: ITransport, topic: str, *, deadline: float = 5.0) -> None:
        self._transport = transport
        self._topic = topic
        self._deadline = deadline

    async def attend(self, token: str) -> None:
        """Report that a page shows the console of this token.

        consoleauth then sends the list of people to all pages of this console.
        """
        await self._ask("attend", token_hash=hash_token(token), topic=self._topic)

    async def change_control(self, server_id: str, session_id: str, token: str, action: str, other: str) -> str | None:
        """Ask for control, hand it over, take it back or return it.

        :param other: the id of the session that gets control or loses it; empty: the page named no session.
        :return: why the action was refused, or None.
        """
        about = {"server_id": server_id, "session_id": session_id, "action": action, "other": other}
        answer = await self._ask("change_control", token_hash=hash_token(token), **about)
        return fields.argument("refused of consoleauth", answer.get("refused"), fields.optional(fields.short_text))

    async def share(self, token: str, client_address: str, mode: str, seconds: float) -> SharedLink:
        """Make a link for a guest from the token of a live session.

        :raises ConsoleForbidden: the token may not be shared, or not with this mode; or too many tokens are shared from
            it already.
        """
        # The guest's token is made here, because only hashes of tokens travel on the bus.
        shared = str(uuid4())
        answer = await self._ask(
            "share_console",
            token_hash=hash_token(token),
            client_address=client_address,
            shared_hash=hash_token(shared),
            mode=mode,
            expires_in=seconds,
        )
        return SharedLink(shared, fields.argument("expires_in of consoleauth", answer.get("expires_in"), fields.number))

    async def _ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        answer = await self._transport.call(CONSOLEAUTH.name, method, deadline=self._deadline, **arguments)
        if not isinstance(answer, dict):
            raise ServiceUnavailable(f"consoleauth: the answer to {method} is not an object")
        return answer
