"""Admissions: the sessions that consoleauth has admitted and no proxy has reported as ended.

The history takes only reports of these sessions.
"""

import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

from novnc_twisted.access.tokens import hash_token
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.record import Record, read
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

LONGEST: Final = 30 * 86400.0
"""Seconds for which an admission is kept.  A longer session does not enter the history."""

REPEATED: Final = 3600.0
"""Seconds for which a reported session is remembered, so that no repeated report adds it to the history again."""

MOST: Final = 256
"""Maximum number of admissions kept for one token.  A further one drops the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted(Record):
    """What consoleauth knows about a session.  Each field has the name of the same field of SessionInfo."""

    client_address: Annotated[str, fields.short_text]
    server_id: Annotated[str, fields.uuid]
    server_name: Annotated[str, fields.text] = ""
    user_id: Annotated[str | None, fields.text] = None
    project_id: Annotated[str | None, fields.text] = None
    console_type: Annotated[str, fields.short_text]
    compute_host: Annotated[str | None, fields.short_text] = None
    owners: Annotated[tuple[str, ...] | None, fields.owners] = None


class Admissions:
    """Admissions in the keyed store, each under ``used:HASH:RANDOM`` with the hash of its token."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def add(self, token_hash: str, address: str, info: ConnectInfo) -> None:
        """Record that a client address was admitted to a console with this token."""
        key = f"{_of_token(token_hash)}:{secrets.token_hex(8)}"
        admitted = _Admitted(
            client_address=address,
            server_id=info.instance_uuid,
            server_name=info.name,
            user_id=info.user_id,
            project_id=info.project_id,
            console_type=info.console_type,
            compute_host=info.compute_host,
            owners=info.owners,
        )
        await self._store.put(key, admitted.to_wire(), LONGEST, _of_token(token_hash))
        # A viewer can repeat the token check without starting sessions, whose ends would remove the admissions.
        surplus = await self._store.indexed(_of_token(token_hash), MOST)
        if surplus:
            await self._store.remove(*surplus)

    async def has(self, token_hash: str, address: str) -> bool:
        """Return whether there is an admission of this client address with this token."""
        return any(value.get("client_address") == address for value in await self._all(token_hash))

    async def server(self, token_hash: str) -> str | None:
        """Return the UUID of the server to which this token has an admission; None: there is no admission."""
        for value in await self._all(token_hash):
            return read(_Admitted, value, "the store").server_id
        return None

    async def _all(self, token_hash: str) -> list[dict[str, Any]]:
        keys = await self._store.indexed(_of_token(token_hash))
        found = await self._store.get_many(keys) if keys else []
        return [value for value in found if isinstance(value, dict)]

    async def take(self, session: SessionInfo) -> dict[str, Any] | None:
        """Remove the admission of a reported session; return consoleauth's own values for fields of SessionInfo.

        Until :meth:`done` is called for a session, further calls return the same values, because a proxy repeats a
        report that was interrupted.

        :return: None if consoleauth has not admitted the session, or the session was reported before.
        """
        if not session.token_hash:
            return None
        mark = _of_session(session)
        taken = await self._get(mark)
        if taken is not None:
            return _known(taken) if taken else None
        for key in await self._store.indexed(_of_token(session.token_hash)):
            value = await self._get(key)
            if value is None or value.get("client_address") != session.client_address:
                continue
            # Stored before the admission is removed, because this process may be killed between the two steps.
            await self._store.put(mark, value, REPEATED)
            # If several callers try this, remove() succeeds for exactly one of them.
            if await self._store.remove(key):
                return _known(value)
            await self._store.remove(mark)
        return None

    async def done(self, session: SessionInfo) -> None:
        """Record that a session that was taken is in the history now."""
        await self._store.put(_of_session(session), {}, REPEATED)

    async def _get(self, key: str) -> dict[str, Any] | None:
        try:
            value: dict[str, Any] | None = await self._store.get(key)
        except UnusableRecord:
            return None
        return value


def _known(admitted: dict[str, Any]) -> dict[str, Any]:
    return read(_Admitted, admitted, "the store").to_wire()


def _of_token(token_hash: str) -> str:
    return f"used:{token_hash}"


def _of_session(session: SessionInfo) -> str:
    # The token is included: otherwise, somebody with the stolen credential of a proxy could mark the sessions of other
    # proxies as reported.
    return f"reported:{hash_token(f'{session.token_hash} {session.id}')}"
