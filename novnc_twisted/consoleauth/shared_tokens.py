"""Shared tokens.  A viewer makes a shared token for a guest from the viewer's own token, the source.

A shared token has the server, the user and the project of its source, and never more rights.  It ends with its source:
when the source is revoked or dropped, or when the source has expired and no session from that viewer's client address
keeps the source in use.  When a shared token expires, its sessions end too.  It cannot be shared again, so that only
one source has to be checked.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from novnc_twisted.consoleauth.marks import TokenMarks, TokenState
from novnc_twisted.consoleauth.store import TokenRecord, TokenStore
from novnc_twisted.contract.mode import CONTROL, VIEW
from novnc_twisted.errors import ConsoleForbidden, Revoked

LONGEST: Final = 28_800.0
"""Maximum number of seconds for which a shared token is valid: a working day."""

MOST: Final = 16
"""Maximum number of tokens that were shared from one token and have not expired."""

Find = Callable[[str], Awaitable[TokenRecord | None]]
"""``async (token_hash)`` -> the record of a token; None: the token is unknown or was dropped."""


class SharedTokens:
    """Makes shared tokens, and limits them by their sources.

    Every method fails with ServiceUnavailable if the store does not answer.

    :param find: returns the record of a token.  If the store has lost the record, ``find`` restores it from the memory
        of this process, if possible.
    :param now: returns Unix time in seconds.
    :param reconnects: returns whether a session can keep a token in use after the token has expired.
    """

    def __init__(
        self,
        tokens: TokenStore,
        marks: TokenMarks,
        find: Find,
        now: Callable[[], Awaitable[float]],
        reconnects: Callable[[TokenRecord], bool],
    ) -> None:
        self._reconnects = reconnects
        self._tokens = tokens
        self._marks = marks
        self._find = find
        self._now = now

    async def add(
        self, token_hash: str, record: TokenRecord, shared_hash: str, address: str, mode: str, seconds: float
    ) -> TokenRecord:
        """Make a shared token; return its record.

        :param token_hash: the SHA-256 of the source.
        :param record: the record of the source, with its present mode.
        :param shared_hash: the SHA-256 of the new token.
        :param address: the client address of the session that makes the new token.
        :param mode: what the viewers of the new token may do.
        :param seconds: the wanted lifetime of the new token.  It is cut to :data:`LONGEST` and, if no session can keep
            the source in use, to the remaining lifetime of the source.
        :raises ConsoleForbidden: the source may not be shared, or not with this mode; or :data:`MOST` tokens that were
            shared from it have not expired.
        """
        if record.shared_from is not None:
            raise ConsoleForbidden("a shared link cannot be shared again")
        if mode == CONTROL and record.connect_info.mode != CONTROL:
            raise ConsoleForbidden("the link is for viewing only")
        now = await self._now()
        left = LONGEST if self._reconnects(record) else record.expires_at - now
        ttl = min(seconds, LONGEST, left)
        info = replace(record.connect_info, mode=mode, administrator=False, shared_from=token_hash)
        # client_address stays None: the guest's address is not known yet.
        shared = TokenRecord(
            connect_info=info,
            expires_at=now + ttl,
            owner=record.owner,
            made_at=now,
            one_time=record.one_time,
            sharer_address=address,
        )
        if not await self._tokens.put_shared(shared_hash, shared, ttl, MOST):
            raise ConsoleForbidden(f"{MOST} links are shared already; wait until one has expired")
        return shared

    async def of(self, token_hash: str) -> list[str]:
        """Return the hashes of the tokens that were shared from a token and have not expired."""
        return await self._tokens.shared_of(token_hash)

    async def modes(self, token_hash: str) -> dict[str, str]:
        """Return the mode of each token that was shared from a token and has not expired."""
        modes: dict[str, str] = {}
        for one in await self.of(token_hash):
            record = await self._tokens.get(one)
            if record is not None:
                state = await self.limited(await self._marks.state(one, record), record)
                modes[one] = state.mode or record.connect_info.mode
        return modes

    async def limited(self, state: TokenState, record: TokenRecord) -> TokenState:
        """Return the state of a shared token, limited by the state of the token from which it was shared.

        If the shared token was made for viewing, its source cannot limit it further.  So while the source is valid,
        ``state`` is returned unchanged, unless an operator has changed the mode of the shared token to control.

        :param state: the marks of the shared token itself.  Whether they revoke the token is not checked here.
        :param record: the record of the shared token.
        """
        shared_from = record.shared_from or ""
        source = await self._find(shared_from)
        if source is None:
            return TokenState(Revoked("the source of the guest's link no longer exists"), None)
        above = await self._marks.state(shared_from, source)
        if above.revoked is not None:
            return TokenState(Revoked("the source of the guest's link was revoked"), None)
        now = await self._now()
        if now >= source.expires_at:
            leased = await self._tokens.leased_until(shared_from, record.sharer_address or "")
            if leased <= now:
                return TokenState(Revoked("the session with the source of the guest's link has ended"), None)
        if record.connect_info.mode == VIEW and state.mode != CONTROL:
            return state
        modes = (state.mode or CONTROL, above.mode or source.connect_info.mode)
        # Return CONTROL, not None ("not changed").  The source may have been limited to viewing, and have control again
        # now.  With None, a live session of the shared token would stay limited to viewing.
        return TokenState(None, VIEW if VIEW in modes else CONTROL, state.mode_by)
