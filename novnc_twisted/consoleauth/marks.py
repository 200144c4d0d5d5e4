"""Marks: revocations and changed modes of tokens, in the keyed store.  A mark outlives the records of its tokens.

Keys, with the SHA-256 of a token as HASH; a mode is what the viewers of a token may do (``control`` or ``view``):

* ``revoked:SELECTOR`` revokes the tokens that were made until a certain time: one token, or those of a server, a user
  or a project.  So a revocation costs the same for one token and for thousands.  It also applies to a token that
  another process is storing at the same time.
* ``mode:HASH`` is the mode that an operator has set for a token.
* ``mode:HASH:user`` is the mode that the user who shared the token has set.  It has a key of its own, so that no user
  overwrites the operator's mode.

The marks of used one-time tokens and of dropped tokens are in :mod:`.store`.
"""

from functools import lru_cache
from typing import Annotated, Final, NamedTuple

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import MODES, VIEW
from novnc_twisted.contract.record import Record, read, record
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Revoked, ServiceUnavailable
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

SELECTORS = ("token_hash", "server_id", "user_id", "project_id")
"""The fields of a SessionFilter that select tokens to revoke: exactly one of them, and optionally ``owner``."""

_CHANGERS: Final = ("", "user")
"""Values of ``by`` with which :func:`_changed` returns the operator's key and the user's key."""


@record
class _Revocation(Record):
    """A mark that revokes tokens.

    :ivar at: Unix time in seconds; tokens that were made later are not revoked.
    :ivar reason: why, for the log.
    :ivar request: the id of the request for this revocation; empty: it has none.
    """

    at: Annotated[float, fields.number]
    reason: Annotated[str, fields.text] = ""
    request: Annotated[str, fields.request_id] = ""


@record
class _Mode(Record):
    """What the viewers of a token may do.

    :ivar by: who changed the mode.  Empty: an operator.  Otherwise the user who shared this token: the SHA-256 of that
        user's own token.
    """

    mode: Annotated[str, fields.one_of(*MODES)]
    by: Annotated[str, fields.token_hash] = ""


class TokenState(NamedTuple):
    """The marks of a token.

    :ivar revoked: the refusal for a revoked token; None: it was not revoked.
    :ivar mode: the changed mode; None: the mode was not changed, so the mode in the token's record is valid.
    :ivar mode_by: who changed the mode.  Empty: an operator, or nobody.  Otherwise the user who shared this token: the
        SHA-256 of that user's own token.
    """

    revoked: Revoked | None
    mode: str | None
    mode_by: str = ""


_UNCHANGED: Final = TokenState(None, None)


class TokenMarks:
    """The marks in the keyed store.  Every method fails with ServiceUnavailable if the store does not answer.

    :ivar kept: minimum lifetime of a mark in seconds.  It is longer than the lifetime of a new token.  So a mark also
        outlives a token that another process stores while this process writes the mark.
    """

    def __init__(self, store: IKeyedStore, kept: float) -> None:
        self._store = store
        self.kept = kept

    async def revoke(self, wanted: SessionFilter, at: float, reason: str, kept: float, request: str = "") -> None:
        """Revoke the tokens that match a filter and were made no later than ``at``.

        :param at: Unix time in seconds.
        :param kept: seconds for which the mark is kept, unless :attr:`kept` is longer.
        :param request: see :meth:`revoked_until`.
        """
        mark = _Revocation(at=at, reason=reason, request=request)
        await self._store.put(_revoked(*selector_of(wanted), wanted.owner), mark.to_wire(), max(kept, self.kept))

    async def revoked_until(self, wanted: SessionFilter, request: str) -> float | None:
        """Return the time up to which this request has revoked tokens, as Unix time in seconds.

        A caller may repeat its request.  The first call that revokes tokens sets the time.  Repetitions spare tokens
        that were made later.

        :param request: the id of the request, the same for its repetitions; empty: it is not repeated.
        :return: None: no call of this request has revoked tokens yet, or another request has replaced its mark.  The
            time of the mark must not go back, so a repetition then revokes tokens up to the present.
        """
        if not request:
            return None
        (mark,) = await self._store.get_many([_revoked(*selector_of(wanted), wanted.owner)])
        if not isinstance(mark, dict) or mark.get("request") != request:
            return None
        return read(_Revocation, mark, "the store").at

    async def set_mode(self, token_hash: str, mode: str, by: str, kept: float) -> None:
        """Change what the viewers of a token may do.  An operator's change removes the mode that the user has set.

        :param by: who changes the mode.  Empty: an operator.  Otherwise the user who shared this token: the SHA-256 of
            that user's own token.
        :param kept: see :meth:`revoke`.
        """
        await self._store.put(_changed(token_hash, by), _Mode(mode=mode, by=by).to_wire(), max(kept, self.kept))
        if not by:
            await self._store.remove(_changed(token_hash, "user"))

    async def keep(self, token_hash: str) -> None:
        """Extend the lifetime of the mode of a token that is still in use."""
        for by in _CHANGERS:
            await self._store.extend(_changed(token_hash, by), self.kept)

    async def state(self, token_hash: str, record: TokenRecord | None) -> TokenState:
        """Return the marks of a token.

        :param record: the token's record; None: only the marks for the token's own hash are read, without those for its
            server, user and project.
        """
        keys = [*_revocations(token_hash, record), *(_changed(token_hash, by) for by in _CHANGERS)]
        values = await self._store.get_many(keys)
        if values.count(None) == len(values):
            return _UNCHANGED
        *marks, by_operator, by_user = map(_usable, values)
        made_at = record.made_at if record is not None else 0.0
        for mark in (read(_Revocation, value, "the store") for value in marks if value is not None):
            if made_at <= mark.at:
                return TokenState(Revoked(mark.reason), None)
        modes = [read(_Mode, value, "the store") for value in (by_operator, by_user) if value is not None]
        if not modes:
            return _UNCHANGED
        # If one of the modes is VIEW, it wins.  If both are CONTROL, the user's mode is newer, because an operator's
        # change removes the user's mode.
        mode = next((one for one in modes if one.mode == VIEW), modes[-1])
        return TokenState(None, mode.mode, mode.by)


def selector_of(wanted: SessionFilter) -> tuple[str, str]:
    """Return the field by which a filter selects tokens, and its value.

    :raises ServiceUnavailable: the filter does not have exactly one of :data:`SELECTORS`, or it has a field other than
        these and ``owner``.
    """
    found = [(name, value) for name, value in wanted.to_wire().items() if name != "owner"]
    if len(found) != 1 or found[0][0] not in SELECTORS:
        raise ServiceUnavailable(f"tokens are selected by one of {', '.join(SELECTORS)}")
    return found[0]


def _revocations(token_hash: str, record: TokenRecord | None) -> list[str]:
    """Return the keys of all marks that could revoke a token; without its record, only the key for its hash."""
    if record is None:
        return [_revoked("token_hash", token_hash, None)]
    info = record.connect_info
    # A revocation may be limited to the servers of one project (``owner``).  So look for marks with and without an
    # owner.  If ``record.owner`` is None, fromkeys() drops the second None.
    owners = tuple(dict.fromkeys((None, record.owner)))
    of_token = [_revoked("token_hash", token_hash, owner) for owner in owners]
    return [*of_token, *_revocations_of_many(info.instance_uuid, info.user_id, info.project_id, owners)]


# Cached, because many tokens have the same server, user and project.
@lru_cache(maxsize=256)
def _revocations_of_many(
    server: str, user: str | None, project: str | None, owners: tuple[str | None, ...]
) -> tuple[str, ...]:
    """Return the keys of all marks that could revoke the tokens of a server, a user and a project."""
    values = (("server_id", server), ("user_id", user), ("project_id", project))
    return tuple(_revoked(name, value, owner) for owner in owners for name, value in values if value)


def _revoked(name: str, value: str, owner: str | None) -> str:
    # Hashed, because the id of a user or a project may contain characters that are not allowed in a key.  No value
    # contains a line break.
    selector = "\n".join((name, value, owner or ""))
    return f"revoked:{hash_token(selector)}"


def _changed(token_hash: str, by: str) -> str:
    return f"mode:{token_hash}:user" if by else f"mode:{token_hash}"


def _usable(value: dict[str, object] | UnusableRecord | None) -> dict[str, object] | None:
    if isinstance(value, UnusableRecord):
        raise value
    return value
