"""Grants: which session, the giver, handed its control over to which other session, the receiver.

A grant is stored under ``control:SESSION``, where SESSION is the id of the receiver.  When the receiver has ended, its
viewer may come back at once in a new session, from the same address with the same token; for instance, the user has
reloaded the page.  For this case, the grant of an ended receiver is also stored under ``control:TOKEN_HASH`` for a
short time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import CONTROL, VIEW
from novnc_twisted.contract.record import Record, read_or_none, record
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore

KEPT: Final = 86_400.0
"""Seconds for which a grant is kept after consoleauth has last found that it counts (:mod:`.control`)."""

RETURN_TIME: Final = 10.0
"""Seconds for which the grant of an ended receiver is kept for a new session with the same token.

This time begins when a proxy has reported the end of the receiver.
"""


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("not a list of texts")
    return tuple(value)


@record
class _Grant(Record):
    """A grant in the store.

    :ivar by: the id of the giver.
    :ivar token: the hash of the receiver's token.
    :ivar address: the client address of the receiver.
    :ivar others: the ids of the sessions with this token when the grant was added.
    :ivar to: the id of the receiver if it has ended; else empty.
    """

    by: Annotated[str, fields.short_text]
    token: Annotated[str, fields.token_hash] = ""
    address: Annotated[str, fields.short_text] = ""
    others: Annotated[tuple[str, ...], _ids] = ()
    to: Annotated[str, fields.short_text] = ""


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
        others = tuple(one.id for one in sessions if one.token_hash == to.token_hash)
        grant = _Grant(by=by, token=to.token_hash, address=to.client_address, others=others)
        await self._store.put(_key(to.id), grant.to_wire(), KEPT)

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
        found = await self._read(sessions)
        return {one: grant.by for one, grant in zip(sessions, found, strict=True) if grant is not None}

    async def receivers_ended(self, sessions: Sequence[str]) -> None:
        """Keep the grants to sessions that have ended, for later sessions with the same tokens."""
        for one, grant in zip(sessions, await self._read(sessions), strict=True):
            if grant is not None and grant.token:
                await self._store.put(_key(grant.token), replace(grant, to=one).to_wire(), RETURN_TIME)

    async def give_back(self, sessions: Sequence[SessionInfo], modes: Mapping[str, str]) -> dict[SessionInfo, str]:
        """Pass the grants of ended receivers to later sessions with the same tokens.

        :param modes: the mode of each live session.
        :return: the new grants: receiver -> giver.
        """
        # Leave out sessions whose tokens permit control: if such a session watches, it has given its control away.
        watching = [one for one in sessions if modes[one.id] == VIEW and one.right == VIEW and one.token_hash]
        found = await self._read([one.token_hash for one in watching])
        renewed: dict[SessionInfo, str] = {}
        for to, grant in zip(watching, found, strict=True):
            # Only receivers_ended() sets ``to``.  A grant without ``to`` is found here if a proxy reports the hash of a
            # token as the id of a session.
            if grant is None or not grant.to:
                continue
            if to.id in grant.others or to.client_address != grant.address:
                continue
            # Skip the grant if its receiver still lives (a proxy may have reported the end wrongly), or if another
            # session with this token has just got it.
            if grant.to in modes or any(one.token_hash == to.token_hash for one in renewed):
                continue
            await self._store.remove(_key(to.token_hash), _key(grant.to))
            # The giver may have left, or may have given control to another session since then.
            if modes.get(grant.by) == CONTROL:
                await self.add(to, grant.by, sessions)
                renewed[to] = grant.by
        return renewed

    async def barred(self, sessions: Iterable[SessionInfo]) -> set[str]:
        """Return the ids of sessions that must not get control.

        A session has no token, or its token was limited to viewing after it was made.  For a guest's session, the token
        from which the guest's token was shared counts as well.
        """
        barred = set()
        for one in sessions:
            marks = [await self._policy.mark(token) for token in (one.token_hash, one.shared_from) if token]
            if not one.token_hash or any(mark.mode == VIEW for mark in marks):
                barred.add(one.id)
        return barred

    async def _read(self, names: Sequence[str]) -> list[_Grant | None]:
        """Return the grants under ids of sessions or hashes of tokens; None for each that cannot be read."""
        found = await self._store.get_many(list(map(_key, names))) if names else []
        return [read_or_none(_Grant, value) for value in found]


def _key(session_or_token: str) -> str:
    return f"control:{session_or_token}"
