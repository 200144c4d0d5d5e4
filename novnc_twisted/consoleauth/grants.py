"""Grants: which session, the giver, handed its control over to which other session, the receiver.

A grant is stored under ``control:SESSION``, where SESSION is the id of the receiver.  When the receiver has ended, its
viewer may come back at once in a new session, from the same address with the same token; for instance, the user has
reloaded the page.  For this case, the grant of an ended receiver is also stored under ``control:TOKEN_HASH`` for a
short time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.contract.mode import CONTROL, VIEW
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore

KEPT: Final = 86_400.0
"""Seconds for which a grant is kept after consoleauth has last found that it counts (:mod:`.control`)."""

RETURN_TIME: Final = 10.0
"""Seconds for which the grant of an ended receiver is kept for a new session with the same token.

This time begins when a proxy has reported the end of the receiver.
"""


class Grants:
    """The grants in the keyed store.  Every method fails with ServiceUnavailable if the store does not answer."""

    def __init__(self, store: IKeyedStore, policy: TokenPolicy) -> None:
        self._store = store
        self._policy = policy

    async def add(self, to: SessionInfo, by: str, sessions: Iterable[SessionInfo]) -> None:
        """Give control to a session, from session ``by``.  This replaces an earlier grant to the same session.

        :param sessions: all sessions of the server.  The ids of those with the receiver's token are stored in the
            grant.  :meth:`give_back` must not pass the grant to them: they exist before the receiver ends, so none of
            them is the session in which the receiver's viewer comes back.
        """
        others = [one.id for one in sessions if one.token_hash == to.token_hash]
        grant = {"by": by, "token": to.token_hash, "address": to.client_address, "others": others}
        await self._store.put(_key(to.id), grant, KEPT)

    async def keep(self, sessions: Iterable[str]) -> None:
        """Keep the grants to these sessions for :data:`KEPT` seconds from now."""
        for one in sessions:
            await self._store.extend(_key(one), KEPT)

    async def drop(self, sessions: Collection[str]) -> None:
        """End the grants to these sessions."""
        if sessions:
            await self._store.remove(*map(_key, sessions))

    async def of(self, sessions: Sequence[str]) -> dict[str, str]:
        """Return the grants to these sessions: receiver -> giver."""
        if len(sessions) < 2:
            return {}  # a grant needs two sessions
        found = await self._store.get_many(list(map(_key, sessions)))
        return {
            one: str(value["by"])
            for one, value in zip(sessions, found, strict=True)
            if isinstance(value, dict) and "by" in value
        }

    async def receivers_ended(self, sessions: Sequence[str]) -> None:
        """Keep the grants to sessions that have ended, for later sessions with the same tokens."""
        found = await self._store.get_many(list(map(_key, sessions))) if sessions else []
        for one, value in zip(sessions, found, strict=True):
            if isinstance(value, dict) and value.get("token"):
                await self._store.put(_key(value["token"]), value | {"to": one}, RETURN_TIME)

    async def give_back(self, sessions: Sequence[SessionInfo], modes: Mapping[str, str]) -> dict[SessionInfo, str]:
        """Pass the grants of ended receivers to later sessions with the same tokens.

        :param modes: the mode of each live session.
        :return: the new grants: receiver -> giver.
        """
        # Leave out sessions whose tokens permit control: if such a session watches, it has given its control away.
        watching = [one for one in sessions if modes[one.id] == VIEW and one.right == VIEW and one.token_hash]
        found = await self._store.get_many([_key(one.token_hash) for one in watching]) if watching else []
        renewed: dict[SessionInfo, str] = {}
        for to, value in zip(watching, found, strict=True):
            # Only receivers_ended() adds "to".  Without "to", the value was stored under the id of a session, and this
            # id is equal to the hash of the token: a proxy could report such an id.
            if not isinstance(value, dict) or "to" not in value:
                continue
            if to.id in value["others"] or to.client_address != value["address"]:
                continue
            # Skip the grant if its receiver still lives (a proxy may have reported the end wrongly), or if another
            # session with this token has just got it.
            if value["to"] in modes or any(one.token_hash == to.token_hash for one in renewed):
                continue
            await self._store.remove(_key(to.token_hash), _key(value["to"]))
            # The giver may have left, or may have given control to another session since then.
            if modes.get(value["by"]) == CONTROL:
                await self.add(to, value["by"], sessions)
                renewed[to] = value["by"]
        return renewed

    async def barred(self, sessions: Iterable[SessionInfo]) -> set[str]:
        """Return the ids of sessions that have no token, or whose token was limited to viewing after it was made."""
        barred = set()
        for one in sessions:
            if not one.token_hash or (await self._policy.mark(one.token_hash)).mode == VIEW:
                barred.add(one.id)
        return barred


def _key(session_or_token: str) -> str:
    return f"control:{session_or_token}"
