"""The methods of consoleauth that renew the leases of tokens which live sessions use."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.consoleauth.lease_calls import MAX_TOKENS
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.time_limit import TimeLimit
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.consoleauth.token_places import TokenPlaces
from novnc_twisted.errors import ConsoleForbidden, Refusal, ServiceUnavailable
from novnc_twisted.messaging.fanout import gather
from novnc_twisted.messaging.wire import refused


class LeaseMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(
        self,
        clock: IReactorTime,
        policy: TokenPolicy,
        token_places: TokenPlaces,
        admissions: Admissions,
        events: TokenEvents,
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._token_places = token_places
        self._admissions = admissions
        self._events = events

    async def keep_token(self, *, token_hash: str, client_address: str) -> dict[str, Any]:
        """Renew the lease of a token: the viewer may reconnect from this client address in the next 60 s.

        If the store has lost the token's record, the record is restored if possible (see :meth:`.LostTokens.restore`).
        The record of a token that was dropped (deleted from the store, for example because its user has too many
        tokens) is not restored.  If there is no record, or the rules do not permit a reconnection with the token,
        no lease is granted.  Then the call still reports whether the token was revoked or its mode was changed.

        :returns: ``mode``: what the viewer may do (``control`` or ``view``) if this was changed after the token was
            made, or if the token was shared with the right ``control``; else null.
        :raises Revoked: the token was revoked, alone or with all tokens of its server, its user or its project.  Or all
            tokens of its server were dropped, because the server is gone.  Or the token was shared from a token that is
            no longer valid.
        :raises ConsoleForbidden: the server belongs to another project than when the token was made.
        """
        token_hash = arguments.token_hash(token_hash)
        address = arguments.client_address(client_address)
        limit = TimeLimit(self._clock)
        record = await self._policy.find_in_use(token_hash)
        if record is not None:
            try:
                await self._token_places.check_owner(record, limit)
            except ConsoleForbidden as refusal:
                self._events.refused(token_hash, record, address, refusal)
                raise
        elif (admitted := await self._admissions.token(token_hash)) is not None:
            # The record was dropped, or has expired while the proxy could not call consoleauth.  Without the record,
            # renew() finds only a revocation of the token itself.  The stored admission also names the server, the user
            # and the project, so current() finds a revocation of their tokens, and raises Revoked.
            await self._policy.current(token_hash, admitted)
        return {"mode": await self._policy.renew(token_hash, record, address)}

    async def keep_tokens(self, *, tokens: list[Any]) -> dict[str, Any]:
        """Renew the leases of several tokens, so that a worker with thousands of sessions makes few calls.

        :param tokens: a pair for each token: its SHA-256 and the client address; at most
            :data:`.lease_calls.MAX_TOKENS`.
        :returns: ``tokens``: for each token, the result of ``keep_token``, or ``error`` and ``detail`` of its refusal.
        :raises ServiceUnavailable: ``tokens`` is not a list of pairs, or is too long.  Nothing is renewed.  An invalid
            hash or address in a pair is only an error for this token.
        """
        pairs = isinstance(tokens, list) and all(isinstance(one, list) and len(one) == 2 for one in tokens)
        if not pairs or len(tokens) > MAX_TOKENS:
            raise ServiceUnavailable(f"tokens is a list of at most {MAX_TOKENS} pairs")
        answers = await gather(
            Deferred.fromCoroutine(self.keep_token(token_hash=token_hash, client_address=address))
            for token_hash, address in tokens
        )
        return {"tokens": [refused(answer) if isinstance(answer, Refusal) else answer for answer in answers]}
