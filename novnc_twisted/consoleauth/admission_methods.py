"""The method of consoleauth that admits a viewer to the console of its token."""

import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth import arguments
from novnc_twisted.consoleauth.admissions import Admissions
from novnc_twisted.consoleauth.people import People
from novnc_twisted.consoleauth.policy import TokenPolicy
from novnc_twisted.consoleauth.session_counts import SessionCounts
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.consoleauth.time_limit import LAST, TimeLimit
from novnc_twisted.consoleauth.token_events import TokenEvents
from novnc_twisted.consoleauth.token_places import TokenPlaces
from novnc_twisted.contract import fields
from novnc_twisted.contract.admission import Admission
from novnc_twisted.contract.place import Place
from novnc_twisted.errors import InstanceNotFound, Refusal


class AdmissionMethods:
    """A part of what :class:`.manager.ConsoleAuthManager` serves on the bus."""

    def __init__(
        self,
        clock: IReactorTime,
        policy: TokenPolicy,
        token_places: TokenPlaces,
        counts: SessionCounts,
        admissions: Admissions,
        people: People,
        events: TokenEvents,
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._token_places = token_places
        self._counts = counts
        self._admissions = admissions
        self._people = people
        self._events = events

    async def check_token(
        self,
        *,
        token_hash: str,
        console_type: str,
        client_address: str,
        proxy: str = "",
        people: bool = True,
        admission: str = "",
        again: bool = False,
    ) -> dict[str, Any]:
        """Return what a token opens, as an :class:`~novnc_twisted.contract.Admission`.

        :param proxy: the topic of the worker whose session begins; empty: unknown.
        :param people: whether console pages may show the session.  They can only show it if ``proxy`` is known.
        :param admission: a random id that the caller chooses for this admission.  If the caller repeats the call with
            the same id, the session is counted only once.  Empty: this method chooses the id.
        :param again: whether the session was admitted before, and the caller only asks where its console is now.  Such
            a session is not counted again, no event reports another use of the token, and the pages of other people are
            not updated.  Without a stored admission with this token, this id and this client address, the argument is
            ignored.
        :raises Refusal: see ``ConsoleAuthAPI.check_token``.
        """
        token_hash, address = arguments.token_hash(token_hash), arguments.client_address(client_address)
        proxy = arguments.proxy_topic(proxy) if proxy != "" else ""
        admission = (
            fields.argument("admission", admission, fields.admission) if admission != "" else secrets.token_hex(16)
        )
        record, limit = None, TimeLimit(self._clock)
        try:
            record = await self._policy.find(token_hash)
            await self._policy.check(token_hash, record, console_type, address)
            # A cheap check, so that no compute host is asked about a one-time token that was used.  The decisive check
            # is in _admit(), because another viewer may use the token while the compute host is asked.
            await self._policy.check_unused(token_hash, record)
            began = self._clock.seconds()
            place = await self._locate_unless_revoked(token_hash, record, limit)
            place_seconds = self._clock.seconds() - began
            # Only now, check whether the token was revoked or its mode was changed: somebody may have done this while
            # the compute host was asked.
            record = await self._policy.current(token_hash, record)
            # Without an earlier admission, `again` is ignored: otherwise, somebody with a stolen proxy credential could
            # use a token without an entry in the audit trail.
            again = again is True and await self._admissions.has(token_hash, admission, address)
            if not again:
                await self._counts.check(record.connect_info, address, token_hash, admission, proxy, limit)
            answer = (await self._admit(token_hash, record, address, place, admission, again=again)).to_wire()
        except Refusal as refusal:
            self._events.refused(token_hash, record, address, refusal)
            raise
        if again:
            return answer
        self._events.used(token_hash, record, address, place_seconds)
        if proxy and people is True:
            # Not awaited: the session must not wait for the pages of other people.
            Deferred.fromCoroutine(self._people.notice(record.connect_info.instance_uuid, proxy))
        return answer

    async def _admit(
        self, token_hash: str, record: TokenRecord, address: str, place: Place, admission: str, *, again: bool
    ) -> Admission:
        # The token is used only after the compute host has answered: a refusal by the host must not use it up.
        await self._policy.use(token_hash, record, address)
        left = await self._policy.seconds_left(record)
        info = record.connect_info.at(place, admission=admission, **self._policy.session_terms(record, left))
        if not again:
            await self._admissions.add(token_hash, address, info, made_at=record.made_at, owner=record.owner)
        return Admission(connect_info=info, expires_in=max(0.0, left))

    async def _locate_unless_revoked(self, token_hash: str, record: TokenRecord, limit: TimeLimit) -> Place:
        """Return where a token's console is now.

        :raises Revoked: the console is not available, and the token was revoked.  For the viewer, the revocation is the
            more useful reason.  But if the token was dropped because its server is gone, InstanceNotFound is raised.
        :raises Refusal: the console is not available; see :meth:`.TokenPlaces.locate`.
        """
        try:
            # If ``counts`` is true, the proxies are asked for their numbers of sessions afterwards.  Leave time for
            # this.
            reserve = LAST if self._counts.rules.counts else 0.0
            return await self._token_places.locate(record, limit, reserve=reserve)
        except Refusal as refusal:
            # For a token that was dropped with its server, current() would raise Revoked.
            if not isinstance(refusal, InstanceNotFound) or await self._policy.known(token_hash) is not None:
                await self._policy.current(token_hash, record)  # raises Revoked if the token was revoked
            raise
