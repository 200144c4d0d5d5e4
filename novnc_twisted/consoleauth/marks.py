"""What operators changed about tokens: marks in the keyed store, which outlive the records of the tokens.

``revoked:SELECTOR`` revokes the tokens that were made until a time: one token, or those of a server, a user or a
project.  Therefore a revocation costs the same for one token and for thousands, and it also applies to a token that is
being stored at the same time.  ``mode:HASH`` is what the viewers of a token may do now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.contract import fields
from novnc_twisted.contract.mode import MODES
from novnc_twisted.contract.record import Record, read
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Revoked, ServiceUnavailable
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

SELECTORS = ("token_hash", "server_id", "user_id", "project_id")
"""The fields of a SessionFilter by which tokens can be revoked: exactly one of them, and ``owner`` besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revocation(Record):
    """A mark.

    :ivar at: Unix time in seconds; tokens that were made later are not revoked.
    :ivar reason: why, for the log.
    """

    at: Annotated[float, fields.number]
    reason: Annotated[str, fields.text] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mode(Record):
    mode: Annotated[str, fields.one_of(*MODES)]


class TokenState(NamedTuple):
    """What the marks say about a token.

    :ivar revoked: the refusal of a token that was revoked; None: it was not.
    :ivar mode: what its viewers may do; None: what its record says.
    """

    revoked: Revoked | None
    mode: str | None


class TokenMarks:
    """The marks.  Every method fails with ServiceUnavailable if the store does not answer.

    :param kept: seconds for which a mark is kept: no token may be usable for longer.
    """

    def __init__(self, store: IKeyedStore, kept: float) -> None:
        self._store = store
        self._kept = kept

    async def revoke(self, wanted: SessionFilter, at: float, reason: str) -> None:
        """Revoke the tokens that match a filter and were made until a time."""
        mark = _Revocation(at=at, reason=reason)
        await self._store.put(_revoked(*selector_of(wanted), wanted.owner), mark.to_wire(), self._kept)

    async def set_mode(self, token_hash: str, mode: str) -> None:
        """Change what the viewers of a token may do."""
        await self._store.put(_changed(token_hash), _Mode(mode=mode).to_wire(), self._kept)

    async def keep(self, token_hash: str) -> None:
        """Keep the mode of a token that is still in use."""
        await self._store.extend(_changed(token_hash), self._kept)

    async def state(self, token_hash: str, record: TokenRecord | None) -> TokenState:
        """Return what is known about a token; ``record`` is None if the store has lost it."""
        keys = [*_revocations(token_hash, record), _changed(token_hash)]
        *marks, changed = [_usable(value) for value in await self._store.get_many(keys)]
        made_at = record.made_at if record is not None else 0.0
        for mark in (read(_Revocation, value, "the store") for value in marks if value is not None):
            if made_at <= mark.at:
                return TokenState(Revoked(mark.reason), None)
        return TokenState(None, None if changed is None else read(_Mode, changed, "the store").mode)


def selector_of(wanted: SessionFilter) -> tuple[str, str]:
    """Return the field by which a filter selects tokens, and its value.

    :raises ServiceUnavailable: it is not exactly one of :data:`SELECTORS`.
    """
    found = [(name, value) for name in SELECTORS if (value := getattr(wanted, name)) is not None]
    if len(found) != 1 or wanted.session_id is not None:
        raise ServiceUnavailable(f"tokens are selected by one of {', '.join(SELECTORS)}")
    return found[0]


def _revocations(token_hash: str, record: TokenRecord | None) -> Iterator[str]:
    """Return the keys of all marks that revoke a token."""
    if record is None:
        yield _revoked("token_hash", token_hash, None)
        return
    info = record.connect_info
    values = (token_hash, info.instance_uuid, info.user_id, info.project_id)
    for owner in dict.fromkeys((None, record.owner)):
        for name, value in zip(SELECTORS, values, strict=True):
            if value:
                yield _revoked(name, value, owner)


def _revoked(name: str, value: str, owner: str | None) -> str:
    # Hashed: names may have characters that a key must not have.  No field contains a line break.
    selector = "\n".join((name, value, owner or ""))
    return f"revoked:{hash_token(selector)}"


def _changed(token_hash: str) -> str:
    return f"mode:{token_hash}"


def _usable(value: dict[str, object] | UnusableRecord | None) -> dict[str, object] | None:
    if isinstance(value, UnusableRecord):
        raise value
    return value
