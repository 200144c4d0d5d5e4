"""The events of tokens: made, used, refused, dropped."""

from typing import Any

from novnc_twisted.consoleauth.store import TokenRecord
from novnc_twisted.errors import Refusal
from novnc_twisted.events.records import Observer, TokenMade, TokenRefused, TokenRevoked, TokenUsed


class TokenEvents:
    """Reports what happens to tokens to an observer.

    :param observer: called with each event.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def made(self, record: TokenRecord) -> None:
        """Report a new token."""
        self._observer(TokenMade(**_about(record, record.client_address or ""), expires_at=record.expires_at))

    def used(self, record: TokenRecord, address: str, place_seconds: float) -> None:
        """Report that a token opened a console for a client address.

        :param place_seconds: seconds that it took to find the console.
        """
        self._observer(TokenUsed(**_about(record, address), place_seconds=place_seconds))

    def refused(self, record: TokenRecord | None, address: str, refusal: Refusal) -> None:
        """Report that a token opened nothing; ``record`` is None if the token is unknown."""
        about = {"address": address} if record is None else _about(record, address)
        self._observer(TokenRefused(**about, cause=type(refusal).__name__, detail=refusal.detail))

    def dropped(self, tokens: int, reason: str, *, instance_uuid: str = "", user_id: str = "") -> None:
        """Report that tokens were dropped, if there were any; the fields say by what they were selected."""
        if tokens:
            self._observer(TokenRevoked(instance_uuid=instance_uuid, user_id=user_id, tokens=tokens, reason=reason))


def _about(record: TokenRecord, address: str) -> dict[str, Any]:
    info = record.connect_info
    return {
        "address": address,
        "console_type": info.console_type,
        "user_id": info.user_id or "",
        "project_id": info.project_id or "",
        "instance_uuid": info.instance_uuid,
        "instance_name": info.name,
    }
