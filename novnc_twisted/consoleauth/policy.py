"""The policy of tokens: how long, how often and from which address a token is valid, and when it is dropped."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from novnc_twisted.access.forwarded import UNKNOWN
from novnc_twisted.consoleauth.marks import TokenMarks, selector_of
from novnc_twisted.consoleauth.recent import RecentTokens
from novnc_twisted.consoleauth.rules import TokenRules, TokenTerms
from novnc_twisted.consoleauth.store import DROPPED, GRACE, LEASE, TokenRecord, TokenStore
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ConsoleForbidden, InvalidToken
from novnc_twisted.messaging.interfaces import IKeyedStore

SETUP: Final = 30.0
"""Maximum number of seconds from the answer to ``check_token`` to a live session: the deadline of the set-up."""

_LOG_AGAIN: Final = 60.0

_log = Logger()


class TokenPolicy:
    """Decides what each token opens, over a store that several consoleauths share.

    Every method fails with ServiceUnavailable if the store does not answer.

    :param store: where tokens are kept.
    :param clock: times how long this process remembers tokens in use.
    :param now: returns Unix time in seconds; None: the clock of the store, which all consoleauths share.
    """

    def __init__(
        self, store: IKeyedStore, clock: IReactorTime, rules: TokenRules, now: Callable[[], float] | None = None
    ) -> None:
        self._store = store
        self._tokens = TokenStore(store)
        self._clock = clock
        self._rules = rules
        self._now = now
        # At most DROPPED, the time for which the store remembers dropped tokens.  A process that remembers a token for
        # longer could restore one that was dropped.
        self._recent = RecentTokens(clock, min(rules.token_ttl + LEASE + GRACE, DROPPED))
        # A mark must outlive the record of its token, and the time in which a process could restore this record.
        self._marks = TokenMarks(store, max(rules.token_ttl, DROPPED) + LEASE + GRACE)
        self._log_from = clock.seconds()

    def limit(self, max_tokens_per_server: int, max_tokens_per_user: int) -> None:
        """Use other limits for new tokens."""
        self._rules = replace(
            self._rules, max_tokens_per_server=max_tokens_per_server, max_tokens_per_user=max_tokens_per_user
        )

    async def time(self) -> float:
        """Return Unix time in seconds, by the clock of all consoleauths."""
        return await self._tokens.now() if self._now is None else self._now()

    # --- making and dropping tokens

    async def authorized(self, token_hash: str, info: ConnectInfo) -> float | None:
        """Return the expiry time of a token that an earlier, equal call has authorised; None: the token is new.

        A caller that did not receive the answer to its first call repeats the call.

        :raises ConsoleForbidden: the token opens another console.
        """
        known = await self._tokens.get(token_hash)
        if known is None:
            return None
        # The address may have changed between two attempts of one caller; everything else must be the same.
        if replace(known.connect_info, host=info.host, port=info.port, socket=info.socket) != info:
            raise ConsoleForbidden("the token is in use for another console")
        return known.expires_at

    async def add(self, token_hash: str, info: ConnectInfo, terms: TokenTerms) -> TokenRecord:
        """Make a token valid from now on; return its record."""
        now, ttl = await self.time(), self._rules.token_ttl
        if terms.expires_in is not None:
            ttl = min(ttl, terms.expires_in)
        record = TokenRecord(info, now + ttl, terms.client_address, terms.owner, now, terms.one_time)
        await self._tokens.put(token_hash, record, ttl)
        return record

    async def revoke(self, wanted: SessionFilter, reason: str) -> int:
        """Revoke the tokens that match a filter; return how many were valid until now."""
        selector_of(wanted)  # raises if the filter does not select by exactly one field
        now = await self.time()
        valid = {key: one for key, one in (await self._tokens.matching(wanted)).items() if one.expires_at > now}
        states = [await self._marks.state(key, record) for key, record in valid.items()]
        # Read the time again, so that tokens that were made since the first reading are revoked as well.
        await self._marks.revoke(wanted, await self.time(), reason)
        return sum(state.revoked is None for state in states)

    async def set_mode(self, token_hash: str, mode: str) -> None:
        """Change what the viewers of a token may do, also when they reconnect."""
        await self._marks.set_mode(token_hash, mode)

    async def drop_surplus_of_instance(self, instance_uuid: str) -> int:
        """Drop the oldest tokens of a server if there are more than the limit; return the number of dropped tokens."""
        limit = self._rules.max_tokens_per_server
        return await self._tokens.remove_of_instance(instance_uuid, limit) if limit else 0

    async def drop_surplus_of_user(self, user_id: str) -> int:
        """Drop the oldest tokens of a user if there are more than the limit; return the number of dropped tokens."""
        limit = self._rules.max_tokens_per_user
        return await self._tokens.remove_of_user(user_id, limit) if limit else 0

    async def drop_of_instance(self, instance_uuid: str) -> int:
        """Drop the tokens of a server; return how many there were."""
        # Before the store: a concurrent check must not restore a token that is being dropped.
        self._recent.forget_instance(instance_uuid)
        until = await self.time() + self._rules.token_ttl
        return await self._tokens.remove_of_instance(instance_uuid, until=until)

    async def hosts_of_instance(self, instance_uuid: str) -> set[str | None]:
        """Return the compute hosts for which the tokens of a server were made."""
        return await self._tokens.hosts_of_instance(instance_uuid)

    # --- using tokens

    async def check_store(self) -> None:
        """Check that the store takes tokens.

        :raises ServiceUnavailable: it does not.
        """
        await self._tokens.check()

    async def find(self, token_hash: str) -> TokenRecord:
        """Return the record of a token, which may have expired.

        :raises InvalidToken: it is unknown.
        """
        return await self._tokens.get(token_hash) or await self._restored_if_valid(token_hash)

    async def check(self, token_hash: str, record: TokenRecord, console_type: str, address: str) -> None:
        """Check that a token is valid now, for this console type and client address.

        :raises InvalidToken: it has expired.
        :raises ConsoleForbidden: it is for another console type or another client address.
        """
        await self._check_time(token_hash, record, address)
        if record.connect_info.console_type != console_type:
            raise ConsoleForbidden(f"it is for a console of type {record.connect_info.console_type}")
        if self._rules.bind_address:
            await self._check_address(token_hash, record, address)

    async def current(self, token_hash: str, record: TokenRecord) -> TokenRecord:
        """Return the record of a token with what its viewers may do now.

        :raises Revoked: it was revoked.
        """
        state = await self._marks.state(token_hash, record)
        if state.revoked is not None:
            raise state.revoked
        if state.mode is None:
            return record
        return replace(record, connect_info=replace(record.connect_info, mode=state.mode))

    async def check_unused(self, token_hash: str, record: TokenRecord) -> None:
        """Check that a token for one use was not used yet.

        :raises InvalidToken: it was.
        """
        if self._one_time(record) and await self._tokens.claimed("used", token_hash) is not None:
            raise InvalidToken("it was used already")

    async def use(self, token_hash: str, record: TokenRecord, address: str) -> None:
        """Record the use of a token.  If the token is for one use, exactly one of several concurrent callers succeeds.

        :raises InvalidToken: another caller was first.
        """
        rules = self._rules
        if self._one_time(record) and not await self._tokens.claim_once("used", token_hash, address, rules.token_ttl):
            raise InvalidToken("it was used already")
        self._remember(token_hash, record)

    async def check_used_by(self, token_hash: str, record: TokenRecord, address: str) -> None:
        """Check that a token for one use was used by this client address.

        :raises InvalidToken: it was not.
        """
        if self._one_time(record) and await self._tokens.claimed("used", token_hash) != address:
            raise InvalidToken("it was not used from here")

    async def valid(self, token_hash: str) -> TokenRecord:
        """Return the record of a token that has not expired; leases do not count.

        :raises InvalidToken: it is unknown, has expired or was revoked.
        """
        record = await self._tokens.get(token_hash)
        if record is None or record.expires_at <= await self.time():
            raise InvalidToken("it is unknown or has expired")
        if (await self._marks.state(token_hash, record)).revoked is not None:
            raise InvalidToken("it was revoked")
        return record

    async def find_in_use(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token that a session uses; it is restored if the store has lost it.

        None: the rules permit no reconnection, or the token was dropped.
        """
        if not self._rules.reconnects:
            return None
        return await self._tokens.get(token_hash) or await self._restored(token_hash, LEASE + GRACE)

    async def renew(self, token_hash: str, record: TokenRecord | None, address: str) -> str | None:
        """Let a viewer reconnect with this token from the same address within 60 s, even if the token expires.

        :param record: what :meth:`find_in_use` returned.
        :return: what the viewer may do, if that was changed.
        :raises Revoked: the token was revoked.
        """
        if not self._rules.reconnects:
            return None
        revoked, mode = await self._marks.state(token_hash, record)
        if revoked is not None:
            raise revoked
        if record is not None and not record.one_time:
            self._remember(token_hash, record)
            await self._tokens.lease(token_hash, address, await self.time() + LEASE)
            if mode is not None:
                await self._marks.keep(token_hash)
        return mode

    async def seconds_left(self, record: TokenRecord) -> float:
        """Return the seconds until a token expires; negative if it has expired."""
        return record.expires_at - await self.time()

    def session_terms(self, record: TokenRecord, seconds_left: float) -> ConnectInfo:
        """Return the record's ConnectInfo with the terms of its session.

        They say when the session must end, whether its viewer may reconnect, and when its token lease begins.
        """
        return replace(
            record.connect_info,
            expires_at=record.expires_at if self._rules.enforce_session_timeout else None,
            reconnects=self._reconnects(record),
            keep_from=max(0.0, seconds_left - LEASE - SETUP),
        )

    # --- internals

    def _one_time(self, record: TokenRecord) -> bool:
        """Whether a token opens one console once."""
        return self._rules.one_time or record.one_time

    def _reconnects(self, record: TokenRecord) -> bool:
        """Whether a viewer that lost its connection may come back with this token."""
        return self._rules.reconnects and not record.one_time

    async def _check_time(self, token_hash: str, record: TokenRecord, address: str) -> None:
        now = await self.time()
        if now < record.expires_at:
            return
        if not self._reconnects(record) or await self._tokens.leased_until(token_hash, address) <= now:
            raise InvalidToken("it has expired")

    async def _check_address(self, token_hash: str, record: TokenRecord, address: str) -> None:
        # All clients with unreadable addresses look alike, so the binding would admit every one of them.
        if address == UNKNOWN:
            raise ConsoleForbidden("bind_address is on, and X-Forwarded-For contained no valid address")
        ttl = self._rules.token_ttl
        bound = record.client_address or await self._tokens.claim("bound", token_hash, address, ttl)
        if bound != address:
            raise ConsoleForbidden("it is bound to another client address")

    def _remember(self, token_hash: str, record: TokenRecord) -> None:
        """Remember a record in use, if the store can lose it and the rules allow to restore it."""
        # A one-time token must not be restored: the mark that it was used is lost as well.
        if self._store.may_lose_data and not self._one_time(record):
            self._recent.used(token_hash, record)

    async def _restored_if_valid(self, token_hash: str) -> TokenRecord:
        """Restore the record of a valid token that the store has lost.

        :raises InvalidToken: the token is unknown.
        """
        known = self._recent.get(token_hash)
        left = 0.0 if known is None else await self.seconds_left(known)
        record = await self._restored(token_hash, left + LEASE) if left > 0 else None
        if record is None:
            raise InvalidToken("it is unknown")
        return record

    async def _restored(self, token_hash: str, ttl: float) -> TokenRecord | None:
        """Restore a record that the store has lost, if this process remembers it and the token was not dropped.

        A token is not restored if the store has also lost whether it was used (``one_time``), or the address to which
        its first use bound it (``bind_address``).
        """
        record, rules = self._recent.get(token_hash), self._rules
        if record is None or self._one_time(record) or (rules.bind_address and record.client_address is None):
            return None
        # Dropped on purpose while this process remembered it: it stays dropped.
        if await self._tokens.was_dropped(record):
            self._recent.forget(token_hash)
            return None
        await self._tokens.restore(token_hash, record, ttl)
        now = self._clock.seconds()
        if now >= self._log_from:
            self._log_from = now + _LOG_AGAIN
            _log.warn("Redis has lost tokens that are in use; they are restored. Does redis.conf set appendonly yes?")
        return record
