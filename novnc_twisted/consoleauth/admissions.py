"""Admissions: a record for each session that consoleauth has admitted and that no proxy has reported as ended.

When a proxy reports the end of a session, the report enters the history only if the session has such a record.
"""

from collections.abc import Sequence
from typing import Any, Final

from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.contract import fields
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_info import SessionInfo
from novnc_twisted.messaging.interfaces import IKeyedStore, UnusableRecord

LONGEST: Final = 30 * 86400.0
"""Seconds for which an admission is kept.  A session that lasts longer does not enter the history."""

MOST: Final = 256
"""Maximum number of admissions kept for one token.  A further one drops the oldest."""


class Admissions:
    """Admissions in the keyed store.  The key is ``used:HASH:ADMISSION``: the token's hash, the admission's id."""

    def __init__(self, store: IKeyedStore) -> None:
        self._store = store

    async def add(self, token_hash: str, address: str, info: ConnectInfo, *, made_at: float, owner: str | None) -> None:
        """Record that a client address was admitted to a console with this token.

        :param made_at: as in :class:`.TokenRecord`.
        :param owner: as in :class:`.TokenRecord`.
        """
        # All keys except "token" are names of SessionInfo's fields.  The values are checked again when the history is
        # read.
        admitted = {
            "client_address": address,
            "server_id": info.instance_uuid,
            "server_name": info.name,
            "user_id": info.user_id,
            "project_id": info.project_id,
            "console_type": info.console_type,
            "compute_host": info.compute_host,
            "owners": info.owners,
            "token": {"made_at": made_at, "owner": owner},
        }
        index = _of_token(token_hash)
        stored = await self._store.put(_key(token_hash, info.admission), admitted, LONGEST, index)
        # Usually, the report of a session's end removes its admission.  No report follows if the viewer leaves during
        # the token check, and a viewer can repeat this.  Without a limit, all of these admissions would stay for 30
        # days.  So keep the newest admissions of the token, at most MOST, and remove the others.
        if stored > MOST:
            await self._store.remove(*await self._store.indexed(index, MOST))

    async def has(self, token_hash: str, admission: str, address: str) -> bool:
        """Return whether an admission with this token and this id is stored, for the same client address."""
        value = await self._get(_key(token_hash, admission))
        return value is not None and value.get("client_address") == address

    async def server(self, token_hash: str) -> str | None:
        """Return the UUID of the server in an admission with this token; None: there is no such admission."""
        for value in await self._with_token(token_hash):
            if fields.is_uuid(server := value.get("server_id")):
                return str(server)
        return None

    async def token(self, token_hash: str) -> TokenRecord | None:
        """Return a record that is made from an admission with this token.

        The record has only the fields by which revocations select tokens; all others are empty.  None: there is no such
        admission, or an earlier version of this program wrote it.
        """
        for value in await self._with_token(token_hash):
            if of_token := value.get("token"):
                about = {name: value[name] for name in ("user_id", "project_id")}
                info = ConnectInfo(host="", port=0, instance_uuid=value["server_id"], **about)
                return TokenRecord(connect_info=info, expires_at=0.0, **of_token)
        return None

    async def of(self, sessions: Sequence[SessionInfo]) -> list[dict[str, Any] | None]:
        """Return, for each reported session, the fields of SessionInfo that :meth:`add` has stored.

        The result for a session is None if it has no admission, or if its admission is for another client address.
        """
        values = await self._store.get_many(list(map(_key_of, sessions))) if sessions else []
        return [
            {name: value[name] for name in value if name != "token"}
            if isinstance(value, dict) and value.get("client_address") == session.client_address
            else None
            for session, value in zip(sessions, values, strict=True)
        ]

    async def remove(self, sessions: Sequence[SessionInfo]) -> None:
        """Remove the admissions of sessions that have ended."""
        await self._store.remove(*map(_key_of, sessions))

    async def _with_token(self, token_hash: str) -> list[dict[str, Any]]:
        keys = await self._store.indexed(_of_token(token_hash))
        found = await self._store.get_many(keys) if keys else []
        return [value for value in found if isinstance(value, dict)]

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
