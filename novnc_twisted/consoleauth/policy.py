"""The policy of tokens: how long, how often and from which address a token is valid, and when it is dropped.

To drop a token is to remove its record from the store.  To revoke a token is to store a mark; the record stays.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.access.forwarded import UNKNOWN
from novnc_twisted.consoleauth.lost_tokens import LostTokens
from novnc_twisted.consoleauth.marks import TokenMarks, TokenState, selector_of
from novnc_twisted.consoleauth.rules import TokenRules, TokenTerms
from novnc_twisted.consoleauth.shared_tokens import LONGEST, SharedTokens
from novnc_twisted.consoleauth.store import DROPPED, GRACE, LEASE, TokenRecord, TokenStore
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import ConsoleForbidden, InvalidToken
from novnc_twisted.messaging.interfaces import IKeyedStore

SETUP: Final = 30.0
"""Maximum number of seconds from the check of a token until its session is live: ``setup_deadline`` of the proxies."""


class TokenPolicy:
    """Decides whether a token is valid, and what its viewers may do.  Several consoleauths can share the store.

    Every method fails with ServiceUnavailable if the store does not answer.

    :param store: where tokens are kept.
    :param clock: measures for how long this process remembers the records of used tokens (see :class:`.LostTokens`).
    :param now: returns Unix time in seconds; None: the clock of the store, which all consoleauths share.
    :ivar shared: the tokens that viewers made for guests.
    """

    def __init__(
        self, store: IKeyedStore, clock: IReactorTime, rules: TokenRules, now: Callable[[], float] | None = None
    ) -> None:
        self._tokens = TokenStore(store)
        self._rules = rules
        self._now = now
        self._longest = rules.token_ttl
        self._lost = LostTokens(store, self._tokens, clock, rules, self.time)
        self._marks = TokenMarks(store, 0.0)
        self.shared = SharedTokens(self._tokens, self._marks, self._find_or_restore, self.time, self.reconnects)
        self.use_rules(rules)

    def use_rules(self, rules: TokenRules) -> None:
        """Use other rules.  A changed ``token_ttl`` applies to new tokens only."""
        self._rules = rules
        # Keep a longer lifetime of earlier rules: tokens that were made with it stay valid.
        self._longest = longest = max(self._longest, rules.token_ttl)
        self._lost.use_rules(rules, longest)
        # Keep marks for as long as the store can have the token's record, or a process can restore the record.
        self._marks.kept = max(longest, LONGEST, DROPPED) + LEASE + GRACE

    async def time(self) -> float:
        """Return Unix time in seconds, by the clock that all consoleauths share."""
        return await self._tokens.now() if self._now is None else self._now()

    # --- making and dropping tokens

    async def authorized(self, token_hash: str, info: ConnectInfo) -> float | None:
        """Return the expiry time of a token that was authorized before; None: the token is new.

        A token can be known already, because callers repeat ``authorize_console`` if they have received no answer.

        :raises ConsoleForbidden: the token opens another console.
        """
        known = await self._tokens.get(token_hash)
        if known is None:
            return None
        # The console's address may have changed between two attempts of one caller.  Everything else must be the same.
        if replace(known.connect_info, host=info.host, port=info.port, socket=info.socket) != info:
            raise ConsoleForbidden("the token is in use for another console")
        return known.expires_at

    async def add(self, token_hash: str, info: ConnectInfo, terms: TokenTerms) -> TokenRecord:
        """Make a token valid from now on; return its record."""
        now, ttl = await self.time(), self._rules.token_ttl
        if terms.expires_in is not None:
            ttl = min(ttl, terms.expires_in)
        record = TokenRecord(
            connect_info=info,
            expires_at=now + ttl,
            client_address=terms.client_address,
            owner=terms.owner,
            made_at=now,
            one_time=terms.one_time,
        )
        await self._tokens.put(token_hash, record, ttl)
        return record

    async def revoke(self, wanted: SessionFilter, reason: str, request: str) -> tuple[int, float, bool]:
        """Revoke the tokens that match a filter.

        :param request: the id of the request (:meth:`.TokenMarks.revoked_until`).
        :return: three values:

            * how many of these tokens were valid until now
            * the Unix time of the revocation; tokens made later are not revoked
            * whether an earlier call of the same request has revoked the tokens
        """
        selector_of(wanted)  # raises if the filter does not select by exactly one field
        now = await self.time()
        valid = {key: one for key, one in (await self._tokens.matching(wanted)).items() if one.expires_at > now}
        made = [record.made_at for key, record in valid.items() if (await self.state(key, record)).revoked is None]
        made_until = before = await self._marks.revoked_until(wanted, request)
        if made_until is None:
            # Read the time again, so that tokens made meanwhile are revoked too.  Await nothing else before the mark is
            # stored: otherwise, the mark could replace a later mark of another revocation.
            made_until = await self.time()
            await self._marks.revoke(wanted, made_until, reason, _outlives(now, valid.values()), request)
        return sum(at <= made_until for at in made), made_until, before is not None

    async def set_mode(self, token_hash: str, mode: str, by: str = "") -> None:
        """Change what the viewers of a token may do, also when they reconnect.

        :param by: see :meth:`.TokenMarks.set_mode`.
        """
        record = await self._tokens.get(token_hash)
        kept = _outlives(await self.time(), [] if record is None else [record])
        await self._marks.set_mode(token_hash, mode, by, kept)

    async def mode(self, token_hash: str) -> str | None:
        """Return what a token's viewers may do now; None: the token is revoked, or has no record and no new mode."""
        record = await self._tokens.get(token_hash)
        revoked, mode, _ = await self.state(token_hash, record)
        if mode is None and revoked is None and record is not None:
            mode = record.connect_info.mode
        return mode

    async def mark(self, token_hash: str) -> TokenState:
        """Return the marks that were set for this token itself.

        Marks for its server, its user, its project, and the token that it was shared from are left out.
        """
        return await self._marks.state(token_hash, None)

    async def state(self, token_hash: str, record: TokenRecord | None) -> TokenState:
        """Return the marks of a token.  If it was shared from another token, the marks of that token apply too."""
        state = await self._marks.state(token_hash, record)
        if record is None or record.shared_from is None or state.revoked is not None:
            return state
        return await self.shared.limited(state, record)

    async def drop_surplus_of_instance(self, instance_uuid: str) -> int:
        """Drop the oldest tokens of a server if there are more than the limit; return the number of dropped tokens."""
        limit = self._rules.max_tokens_per_server
        return await self._tokens.remove_of_instance(instance_uuid, limit) if limit else 0

    async def drop_surplus_of_user(self, user_id: str) -> int:
        """Drop the oldest tokens of a user if there are more than the limit; return the number of dropped tokens."""
        limit = self._rules.max_tokens_per_user
        return await self._tokens.remove_of_user(user_id, limit) if limit else 0

    async def drop_of_instance(self, instance_uuid: str, reason: str) -> tuple[int, float]:
        """Drop the tokens of a server.

        :param reason: why.  If a session of the server calls ``keep_token`` later, its proxy logs this reason.
        :return: how many tokens were dropped, and a Unix time: sessions with tokens made after this time may go on.
        """
        # Forget the tokens before the store drops them: a concurrent check must not restore one of them.
        self._lost.forget_instance(instance_uuid)
        now = await self.time()
        dropped = await self._tokens.remove_of_instance(instance_uuid, made_until=now)
        # If a proxy cannot be reached now, its sessions with this server go on.  With this mark, they end when they
        # call keep_token.
        await self._marks.revoke(SessionFilter(server_id=instance_uuid), now, reason, 0.0)
        return dropped, now

    async def hosts_of_instance(self, instance_uuid: str) -> set[str | None]:
        """Return the compute hosts in the records of a server's tokens; None stands for an unknown host."""
        return await self._tokens.hosts_of_instance(instance_uuid)

    # --- using tokens

    async def check_store(self) -> None:
        """Check that the store accepts tokens.

        :raises ServiceUnavailable: the store does not accept them.
        """
        await self._tokens.check()

    async def known(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token, valid or not, or None if the store does not have it."""
        return await self._tokens.get(token_hash)

    async def find(self, token_hash: str) -> TokenRecord:
        """Return the record of a token, which may have expired.

        A record that the store has lost is restored if possible, unless the token has expired.

        :raises InvalidToken: the token is unknown.
        """
        return await self._tokens.get(token_hash) or await self._lost.restore_valid(token_hash)

    async def check(self, token_hash: str, record: TokenRecord, console_type: str, address: str) -> None:
        """Check that a token is valid now, for this console type and client address.

        :raises InvalidToken: the token has expired, and no lease (see :meth:`renew`) lets this client address use it.
        :raises ConsoleForbidden: the token is for another console type; or ``bind_address`` is on, and the token is for
            another client address, or the client address is unknown.
        """
        await self._check_time(token_hash, record, address)
        if record.connect_info.console_type != console_type:
            raise ConsoleForbidden(f"the token is for a console of type {record.connect_info.console_type}")
        if self._rules.bind_address:
            await self._check_address(token_hash, record, address)

    async def current(self, token_hash: str, record: TokenRecord) -> TokenRecord:
        """Return the record of a token with the current rights of its viewers.

        :raises Revoked: the token was revoked.
        """
        state = await self.state(token_hash, record)
        if state.revoked is not None:
            raise state.revoked
        if state.mode is None:
            return record
        return replace(record, connect_info=replace(record.connect_info, mode=state.mode))

    async def check_unused(self, token_hash: str, record: TokenRecord) -> None:
        """Check that a token for one use was not used yet.

        :raises InvalidToken: the token was used.
        """
        if self._rules.opens_once(record) and await self._tokens.claimed("used", token_hash) is not None:
            raise InvalidToken("the token was used already")

    async def use(self, token_hash: str, record: TokenRecord, address: str) -> None:
        """Record the use of a token.  If the token is for one use, exactly one of several concurrent callers succeeds.

        :raises InvalidToken: another caller has used the token first.
        """
        if self._rules.opens_once(record):
            ttl = max(self._longest, await self.seconds_left(record))
            if not await self._tokens.claim_once("used", token_hash, address, ttl):
                raise InvalidToken("the token was used already")
        self._lost.remember(token_hash, record)

    async def check_used_by(self, token_hash: str, record: TokenRecord, address: str) -> None:
        """Check that a token for one use was used by this client address.

        :raises InvalidToken: the token was not used, or another address used it.
        """
        if self._rules.opens_once(record) and await self._tokens.claimed("used", token_hash) != address:
            raise InvalidToken("the token was not used from this client address")

    async def valid(self, token_hash: str) -> TokenRecord:
        """Return the record of a token that has not expired.

        An expired token is refused, even if :meth:`renew` still lets a viewer reconnect with it.

        :raises InvalidToken: the token is unknown, has expired or was revoked.
        """
        record = await self._tokens.get(token_hash)
        if record is None or record.expires_at <= await self.time():
            raise InvalidToken("the token is unknown or has expired")
        if (await self.state(token_hash, record)).revoked is not None:
            raise InvalidToken("the token was revoked")
        return record

    async def find_in_use(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token that a session uses, which may have expired.

        A record that the store has lost is restored if possible (:meth:`.LostTokens.restore`).

        :return: None: the token is unknown or was dropped, or its record could not be restored.
        """
        return await self._find_or_restore(token_hash)

    async def renew(self, token_hash: str, record: TokenRecord | None, address: str) -> str | None:
        """Renew the lease of a token: let a viewer reconnect from this address within 60 s, even if the token expires.

        A shared token is refused after its expiry nevertheless.

        If :meth:`reconnects` permits no lease, the record is kept nevertheless: the next call of this method needs the
        record's server, user and project to find a revocation.

        :param record: what :meth:`find_in_use` returned.  If it is None, nothing is renewed.
        :return: the viewer's mode if it was changed; else None.
        :raises Revoked: the token was revoked.
        """
        revoked, mode, _ = await self.state(token_hash, record)
        if revoked is not None:
            raise revoked
        if record is not None:
            self._lost.remember(token_hash, record)
            if self.reconnects(record):
                await self._tokens.lease(token_hash, address, await self.time() + LEASE)
            await self._tokens.keep(token_hash)
            if mode is not None:
                await self._marks.keep(token_hash)
        return mode

    async def seconds_left(self, record: TokenRecord) -> float:
        """Return the seconds until a token expires; negative if it has expired."""
        return record.expires_at - await self.time()

    def session_terms(self, record: TokenRecord, seconds_left: float) -> dict[str, Any]:
        """Return the terms of a token's session, as fields of its ConnectInfo.

        They say when the session must end, when its token was made, whether its viewer may reconnect, and when the
        session calls ``keep_token`` for the first time (see :meth:`renew`).
        """
        shared = record.shared_from is not None
        return {
            "expires_at": record.expires_at if shared or self._rules.enforce_session_timeout else None,
            "made_at": record.made_at,
            "reconnects": self.reconnects(record),
            # A shared token ends with its source, the token that it was shared from.  A session with the shared token
            # may notice this only when it calls keep_token, so it makes these calls from its beginning.  If the token
            # is not a shared one, the first call comes at least LEASE seconds before the expiry, or at once if less
            # time is left.  keep_from counts from the end of the set-up, which takes up to SETUP seconds.
            "keep_from": 0.0 if shared else max(0.0, seconds_left - LEASE - SETUP),
        }

    # --- internals

    def reconnects(self, record: TokenRecord) -> bool:
        """Whether a session with this token may renew the lease of the token (see :meth:`renew`)."""
        return self._rules.reconnects and not record.one_time

    async def _check_time(self, token_hash: str, record: TokenRecord, address: str) -> None:
        now = await self.time()
        if now < record.expires_at:
            return
        leases = self.reconnects(record) and record.shared_from is None
        if not leases or await self._tokens.leased_until(token_hash, address) <= now:
            raise InvalidToken("the token has expired")

    async def _check_address(self, token_hash: str, record: TokenRecord, address: str) -> None:
        # All clients whose address is unknown look alike.  A token that is bound to UNKNOWN would admit all of them.
        if address == UNKNOWN:
            raise ConsoleForbidden("bind_address is on, and no X-Forwarded-For of a trusted proxy names the client")
        ttl = max(self._longest, await self.seconds_left(record))
        bound = record.client_address or await self._tokens.claim("bound", token_hash, address, ttl)
        if bound != address:
            raise ConsoleForbidden("the token is bound to another client address")

    async def _find_or_restore(self, token_hash: str) -> TokenRecord | None:
        return await self._tokens.get(token_hash) or await self._lost.restore(token_hash, LEASE + GRACE)


def _outlives(now: float, records: Iterable[TokenRecord]) -> float:
    """Return the lifetime in seconds with which a mark outlives these tokens and their leases."""
    return max((record.expires_at - now for record in records), default=0.0) + LEASE + GRACE
