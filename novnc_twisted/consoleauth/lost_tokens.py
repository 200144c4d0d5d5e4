"""Restores tokens in use that the store has lost, for example because Redis was restarted without persistence."""

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.consoleauth.recent import RecentTokens
from novnc_twisted.consoleauth.rules import TokenRules
from novnc_twisted.consoleauth.store import DROPPED, GRACE, LEASE, TokenRecord, TokenStore
from novnc_twisted.errors import InvalidToken
from novnc_twisted.messaging.interfaces import IKeyedStore

_LOG_AGAIN: Final = 60.0
"""Minimum number of seconds between two log lines about lost tokens."""

_log = Logger()


class LostTokens:
    """Remembers the tokens that are in use, and restores those that the store has lost.

    Every coroutine fails with ServiceUnavailable if the store does not answer.

    :param clock: the clock by which this process forgets tokens.
    :param now: returns Unix time in seconds.
    """

    def __init__(
        self,
        store: IKeyedStore,
        tokens: TokenStore,
        clock: IReactorTime,
        rules: TokenRules,
        now: Callable[[], Awaitable[float]],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._rules = rules
        self._now = now
        self._recent = RecentTokens(clock, 0.0)
        self._log_from = clock.seconds()

    def use_rules(self, rules: TokenRules, longest: float) -> None:
        """Use other rules.

        :param longest: the longest lifetime in seconds that any token was made with.
        """
        self._rules = rules
        # At most DROPPED, the time for which the store remembers that tokens were dropped (deleted on purpose).  A
        # process that remembered a token for longer could restore a dropped token.
        self._recent.lifetime = min(longest + LEASE + GRACE, DROPPED)

    def remember(self, token_hash: str, record: TokenRecord) -> None:
        """Remember the record of a token in use, if the store may lose data.  A one-time token is not remembered."""
        # A one-time token must not be restored: after the loss, the store does not know whether the token was used.
        if self._store.may_lose_data and not self._rules.opens_once(record):
            self._recent.used(token_hash, record)

    def forget_instance(self, instance_uuid: str) -> None:
        """Forget all tokens of a server, because they are being dropped."""
        self._recent.forget_instance(instance_uuid)

    async def restore_valid(self, token_hash: str) -> TokenRecord:
        """Restore the record of a valid token that the store has lost.

        :raises InvalidToken: this process does not remember the token, or the token has expired or must not be restored
            (see :meth:`restore`).
        """
        known = self._recent.get(token_hash)
        left = 0.0 if known is None else known.expires_at - await self._now()
        record = await self.restore(token_hash, left + LEASE) if left > 0 else None
        if record is None:
            raise InvalidToken("the token is unknown")
        return record

    async def restore(self, token_hash: str, ttl: float) -> TokenRecord | None:
        """Restore a record that the store has lost, if this process remembers it and the token was not dropped.

        Together with the record, the store has lost how the token was used.  So two kinds of tokens are not restored:

        * A one-time token: it may have been used already.
        * With ``bind_address``, a token whose record contains no client address: it was bound to an address by its
          first use, and the store has lost this address.

        :param ttl: seconds for which the restored record is stored.
        :return: the record; None: it was not restored.
        """
        record, rules = self._recent.get(token_hash), self._rules
        if record is None or rules.opens_once(record) or (rules.bind_address and record.client_address is None):
            return None
        # A token that was dropped on purpose must not become valid again.
        if await self._tokens.was_dropped(record):
            self._recent.forget(token_hash)
            return None
        await self._tokens.restore(token_hash, record, ttl)
        now = self._clock.seconds()
        if now >= self._log_from:
            self._log_from = now + _LOG_AGAIN
            _log.warn("Redis has lost tokens in use, and they are restored: set 'appendonly yes' in redis.conf")
        return record
