"""The events of tokens: made, shared, used, refused, revoked or dropped."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from novnc_twisted.access.tokens import hash_token, link_id
from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.contract.connect_info import ConnectInfo
from novnc_twisted.contract.session_filter import SessionFilter
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import (
    ConsoleShared,
    Event,
    Observer,
    TokenMade,
    TokenRefused,
    TokenRevoked,
    TokenUsed,
)

Check: TypeAlias = Callable[[str, str, str], Awaitable[ConnectInfo]]
"""``async (token, console_type, client_address) -> ConnectInfo``, the ``authorise`` of a proxy's factory."""


def reported(check: Check, observer: Observer) -> Check:
    """Return a token check that also reports an event for each used or refused token.

    It is for a proxy whose tokens consoleauth does not check: consoleauth reports the events of its own checks.
    """

    async def check_token(token: str, console_type: str, client_address: str) -> ConnectInfo:
        about = {"console_type": console_type, "address": client_address, "link_id": link_id(hash_token(token))}
        try:
            info = await check(token, console_type, client_address)
        except Refusal as refusal:
            observer(TokenRefused(**about, cause=type(refusal).__name__, detail=refusal.detail))
            raise
        place = {
            "user_id": info.user_id or "",
            "project_id": info.project_id or "",
            "instance_uuid": info.instance_uuid,
            "instance_name": info.name,
        }
        observer(_used(about | place))
        return info

    return check_token


def _used(about: dict[str, Any]) -> TokenUsed:
    return TokenUsed(**about)


class TokenEvents:
    """Reports events of tokens to an observer.

    :param observer: called with each event.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def made(self, token_hash: str, record: TokenRecord) -> None:
        """Report a new token."""
        about = _about(token_hash, record.client_address or "", record)
        self._observer(TokenMade(**about, expires_at=record.expires_at))

    def used(self, token_hash: str, record: TokenRecord, address: str, place_seconds: float) -> None:
        """Report that a token opened a console for a client address.

        :param place_seconds: seconds that it took to find the console.
        """
        self._observer(TokenUsed(**_about(token_hash, address, record), place_seconds=place_seconds))

    def refused(self, token_hash: str, record: TokenRecord | None, address: str, refusal: Refusal) -> None:
        """Report that a token opened nothing.

        :param record: the token's record; None: the token is unknown, or the store did not answer.
        """
        about = _about(token_hash, address, record)
        self._observer(TokenRefused(**about, cause=type(refusal).__name__, detail=refusal.detail))

    def shared(self, token_hash: str, shared_hash: str, record: TokenRecord, address: str) -> None:
        """Report that a viewer shared its console.

        :param token_hash: the SHA-256 of the viewer's own token.
        :param shared_hash: the SHA-256 of the new token.
        :param record: the record of the new token.
        """
        about = _about(token_hash, address, record)
        mode, expires_at = record.connect_info.mode, record.expires_at
        shared = link_id(shared_hash)
        self._observer(ConsoleShared(**about, mode=mode, expires_at=expires_at, shared_link_id=shared))

    def report(self, event: Event) -> None:
        """Report an event for which this class has no method of its own."""
        self._observer(event)

    def dropped(self, tokens: int, reason: str, chosen: SessionFilter) -> None:
        """Report that tokens were revoked or dropped, if there were any.  In both cases, the event is TokenRevoked.

        :param chosen: the filter that selected them.
        """
        if tokens:
            event = TokenRevoked(
                instance_uuid=chosen.server_id or "",
                user_id=chosen.user_id or "",
                project_id=chosen.project_id or "",
                link_id=link_id(chosen.token_hash or ""),
                tokens=tokens,
                reason=reason,
            )
            self._observer(event)


def _about(token_hash: str, address: str, record: TokenRecord | None) -> dict[str, Any]:
    about = {"address": address, "link_id": link_id(token_hash)}
    if record is None:
        return about
    info = record.connect_info
    return about | {
        "console_type": info.console_type,
        "user_id": info.user_id or "",
        "project_id": info.project_id or "",
        "instance_uuid": info.instance_uuid,
        "instance_name": info.name,
    }
