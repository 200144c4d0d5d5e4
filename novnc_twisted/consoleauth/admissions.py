"""Admissions: a record for each session that consoleauth has admitted and that no proxy has reported as ended.

When a proxy reports the end of a session, the report enters the history only if the session has such a record.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, read_or_none, record
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore

LONGEST: Final = 30 * 86400.0
"""Seconds for which an admission is kept.  A session that lasts longer does not enter the history."""

MOST: Final = 256
"""Maximum number of admissions kept for one token.  A further one drops the oldest."""


@record
class _Token(Record):
    """What an admission contains about its token, as in :class:`.TokenRecord`."""

    made_at: Annotated[float, fields.number]
    owner: Annotated[str | None, fields.text] = None


@record
class _Admission(Record):
    """An admission.  All fields except ``token`` have the names of SessionInfo's fields.

    :ivar token: None: an earlier version of this program wrote the admission.
    """

    client_address: Annotated[str, fields.short_text] = ""
    server_id: Annotated[str, fields.uuid] = ""
    server_name: Annotated[str, fields.text] = ""
    user_id: Annotated[str | None, fields.text] = None
    project_id: Annotated[str | None, fields.text] = None
    console_type: Annotated[str, fields.short_text] = ""
    compute_host: Annotated[str | None, fields.short_text] = None
    owners: Annotated[tuple[str, ...] | None, fields.owners] = None
    token: Annotated[_Token | None, _Token.from_wire] = None


_SHOWN: Final = tuple(name for name in _Admission.wire_names() if name != "token")


class Admissions:
    """Admissions in the keyed store.  The key is ``used:HASH:ADMISSION``: the token's hash, the admission's id."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def add(self, token_hash: str, address: str, info: ConnectInfo, *, made_at: float, owner: str | None) -> None:
        """Record that a client address was admitted to a console with this token.

        :param made_at: as in :class:`.TokenRecord`.
        :param owner: as in :class:`.TokenRecord`.
        """
        admitted = _Admission(
            client_address=address,
            server_id=info.instance_uuid,
            server_name=info.name,
            user_id=info.user_id,
            project_id=info.project_id,
            console_type=info.console_type,
            compute_host=info.compute_host,
            owners=info.owners,
            token=_Token(made_at=made_at, owner=owner),
        )
        index = _of_token(token_hash)
        stored = await self._store.put(_key(token_hash, info.admission), admitted.to_wire(), LONGEST, index)
        # Usually, the report of a session's end removes its admission.  No report follows if the viewer leaves during
        # the token check, and a viewer can repeat this.  Without a limit, all of these admissions would stay for 30
        # days.  So keep the newest admissions of the token, at most MOST, and remove the others.
        if stored > MOST:
            await self._store.remove(*await self._store.indexed(index, MOST))

    async def has(self, token_hash: str, admission: str, address: str) -> bool:
        """Return whether an admission with this token and this id is stored, for the same client address."""
        (value,) = await self._read([_key(token_hash, admission)])
        return value is not None and value.client_address == address

    async def server(self, token_hash: str) -> str | None:
        """Return the UUID of the server in an admission with this token; None: there is no such admission."""
        servers = (value.server_id for value in await self._with_token(token_hash))
        return next(filter(None, servers), None)

    async def token(self, token_hash: str) -> TokenRecord | None:
        """Return a record that is made from an admission with this token.

        The record has only the fields by which revocations select tokens; all others are empty.  None: there is no such
        admission, or an earlier version of this program wrote it.
        """
        for value in await self._with_token(token_hash):
            if value.token is not None:
                info = ConnectInfo(
                    host="",
                    port=0,
                    instance_uuid=value.server_id,
                    user_id=value.user_id,
                    project_id=value.project_id,
                )
                of_token = value.token
                return TokenRecord(connect_info=info, expires_at=0.0, made_at=of_token.made_at, owner=of_token.owner)
        return None

    async def of(self, sessions: Sequence[SessionInfo]) -> list[dict[str, Any] | None]:
        """Return, for each reported session, the fields of SessionInfo that :meth:`add` has stored.

        The result for a session is None if it has no admission, or if its admission is for another client address.
        """
        values = await self._read(list(map(_key_of, sessions)))
        return [
            {name: getattr(value, name) for name in _SHOWN}
            if value is not None and value.client_address == session.client_address
            else None
            for session, value in zip(sessions, values, strict=True)
        ]

    async def remove(self, sessions: Sequence[SessionInfo]) -> None:
        """Remove the admissions of sessions that have ended."""
        await self._store.remove(*map(_key_of, sessions))

    async def _with_token(self, token_hash: str) -> list[_Admission]:
        found = await self._read(await self._store.indexed(_of_token(token_hash)))
        return [value for value in found if value is not None]

    async def _read(self, keys: Sequence[str]) -> list[_Admission | None]:
        """Return the admissions with these keys; None for one that is missing or cannot be read."""
        found = await self._store.get_many(keys) if keys else []
        return [read_or_none(_Admission, value) for value in found]


def _key(token_hash: str, admission: str) -> str:
    return f"{_of_token(token_hash)}:{admission}"


def _key_of(session: SessionInfo) -> str:
    return _key(session.token_hash, session.admission)


def _of_token(token_hash: str) -> str:
    return f"used:{token_hash}"
