"""Records of tokens that were used lately, so that a store that has lost its data gets them back."""

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth.store import TokenRecord

MAX_RECENT = 10_000
"""Records that are held at most; one more drops the one that was used longest ago."""


class RecentTokens:
    """Token records by their hash, in the memory of this process.

    :param clock: IReactorTime.
    :param lifetime: seconds for which a record is held after its last use.
    """

    def __init__(self, clock: IReactorTime, lifetime: float) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._records: dict[str, tuple[TokenRecord, float]] = {}

    def __len__(self) -> int:
        """How many are held."""
        return len(self._records)

    def used(self, token_hash: str, record: TokenRecord) -> None:
        """Hold a record from now on."""
        self._records.pop(token_hash, None)
        self._records[token_hash] = record, self._clock.seconds()
        oldest = next(iter(self._records))
        if len(self._records) > MAX_RECENT or self._expired(oldest):
            del self._records[oldest]

    def get(self, token_hash: str) -> TokenRecord | None:
        """The record of a token that was used lately, or None."""
        if token_hash in self._records and self._expired(token_hash):
            del self._records[token_hash]
        return self._records[token_hash][0] if token_hash in self._records else None

    def forget(self, token_hash: str) -> None:
        """Do not give this one back: it was dropped on purpose."""
        self._records.pop(token_hash, None)

    def forget_instance(self, instance_uuid: str) -> None:
        """Do not give back any token of a server: they were dropped, also those that the store has lost by now."""
        gone = [each for each, (one, _) in self._records.items() if one.connect_info.instance_uuid == instance_uuid]
        for token_hash in gone:
            self.forget(token_hash)

    def _expired(self, token_hash: str) -> bool:
        return self._clock.seconds() - self._records[token_hash][1] > self._lifetime
