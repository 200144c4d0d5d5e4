"""Admissions: the sessions that consoleauth has admitted and no proxy has reported as ended.

The history takes only reports of these sessions.
"""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

LONGEST: Final = 30 * 86400.0
"""Seconds for which an admission is kept.  A longer session does not enter the history."""

MOST: Final = 256
"""Maximum number of admissions kept for one token.  A further one drops the oldest."""


class Admissions:
    """Admissions in the keyed store.  The key is ``used:HASH:ADMISSION``: the token's hash, the admission's id."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def add(self, token_hash: str, address: str, info: ConnectInfo) -> None:
        """Record that a client address was admitted to a console with this token."""
        # The names are those of SessionInfo.  The values are checked again when the history is read.
        admitted = {
            "client_address": address,
            "server_id": info.instance_uuid,
            "server_name": info.name,
            "user_id": info.user_id,
            "project_id": info.project_id,
            "console_type": info.console_type,
            "compute_host": info.compute_host,
            "owners": info.owners,
        }
        await self._store.put(_key(token_hash, info.admission), admitted, LONGEST, _of_token(token_hash))
        # A viewer can repeat the token check without starting a session.  Such an admission would stay until it expires
        # (30 days), because only the report of a session's end removes it.
        surplus = await self._store.indexed(_of_token(token_hash), MOST)
        if surplus:
            await self._store.remove(*surplus)

    async def has(self, token_hash: str, admission: str, address: str) -> bool:
        """Return whether there is this admission of this client address with this token."""
        value = await self._get(_key(token_hash, admission))
        return value is not None and value.get("client_address") == address

    async def server(self, token_hash: str) -> str | None:
        """Return the UUID of the server to which this token has an admission; None: there is no admission."""
        keys = await self._store.indexed(_of_token(token_hash))
        for value in await self._store.get_many(keys) if keys else ():
            if isinstance(value, dict) and fields.is_uuid(server := value.get("server_id")):
                return str(server)
        return None

    async def of(self, sessions: Sequence[SessionInfo]) -> list[dict[str, Any] | None]:
        """Return the values that :meth:`add` has stored about each reported session.

        The value is None if no such admission is stored, or if it was for another client address.
        """
        values = await self._store.get_many(list(map(_key_of, sessions))) if sessions else []
        return [
            value if isinstance(value, dict) and value.get("client_address") == session.client_address else None
            for session, value in zip(sessions, values, strict=True)
        ]

    async def remove(self, sessions: Sequence[SessionInfo]) -> None:
        """Remove the admissions of sessions that are in the history."""
        await self._store.remove(*map(_key_of, sessions))

    async def _get(self, key: str) -> dict[str, Any] | None:
        try:
            value: dict[str, Any] | None = await self._store.get(key)
        except UnusableRecord:
            return None
        return value


def _key(token_hash: str, admission: str) -> str:
    return f"{_of_token(token_hash)}:{admission}"


def _key_of(session: SessionInfo) -> str:
    return _key(session.token_hash, session.admission)


def _of_token(token_hash: str) -> str:
    return f"used:{token_hash}"
