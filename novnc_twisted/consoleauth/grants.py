"""Grants: which session handed its control to which other one.  Stored under ``control:SESSION`` of the receiver."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.contract.mode import VIEW
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore

KEPT: Final = 86_400.0
"""Seconds for which a grant is kept; it counts only while both sessions live."""


class Grants:
    """The grants in the keyed store.  Every method fails with ServiceUnavailable if the store does not answer."""

    def __init__(self, store: IKeyedStore, policy: TokenPolicy) -> None:
        self._store = store
        self._policy = policy

    async def add(self, to: str, by: str) -> None:
        """Give control to session ``to``, from session ``by``.  This replaces an earlier grant to the same session."""
        await self._store.put(_key(to), {"by": by}, KEPT)

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

    async def barred(self, sessions: Iterable[SessionInfo]) -> set[str]:
        """Return those of the sessions whose token was limited to viewing after it was made."""
        barred = set()
        for one in sessions:
            if not one.token_hash or (await self._policy.mark(one.token_hash)).mode == VIEW:
                barred.add(one.id)
        return barred


def _key(session_id: str) -> str:
    return f"control:{session_id}"
