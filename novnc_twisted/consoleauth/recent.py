"""Remembers the records of tokens in use, to restore them in a store that has lost its data."""

from twisted.internet.interfaces import IReactorTime

from novnc_twisted.consoleauth.store import TokenRecord

MAX_RECENT = 10_000
"""Maximum number of records.  A further one replaces the record that was used longest ago."""


class RecentTokens:
    """Records of tokens that were used recently.  The keys are the hashes of the tokens.

    :ivar lifetime: seconds for which a record is remembered after its last use.
    """

    def __init__(self, clock: IReactorTime, lifetime: float) -> None:
        self._clock = clock
        self.lifetime = lifetime
        self._records: dict[str, tuple[TokenRecord, float]] = {}

    def __len__(self) -> int:
        """The number of records."""
        return len(self._records)

    def used(self, token_hash: str, record: TokenRecord) -> None:
        """Remember a record, with the present time as its last use."""
        # Remove the record first, so that the dictionary stays in the order of last use.
        self._records.pop(token_hash, None)
        self._records[token_hash] = record, self._clock.seconds()
        oldest = next(iter(self._records))
        if len(self._records) > MAX_RECENT or self._expired(oldest):
            del self._records[oldest]

    def get(self, token_hash: str) -> TokenRecord | None:
        """Return the record of a token that was used recently, or None."""
        if token_hash in self._records and self._expired(token_hash):
            del self._records[token_hash]
        return self._records[token_hash][0] if token_hash in self._records else None

    def forget(self, token_hash: str) -> None:
        """Forget a token that was dropped from the store."""
        self._records.pop(token_hash, None)

    def forget_instance(self, instance_uuid: str) -> None:
        """Forget all tokens of a server, because they are about to be dropped from the store."""
        for token_hash, (record, _) in list(self._records.items()):
            if record.connect_info.instance_uuid == instance_uuid:
                self.forget(token_hash)

    def _expired(self, token_hash: str) -> bool:
        return self._clock.seconds() - self._records[token_hash][1] > self.lifetime
