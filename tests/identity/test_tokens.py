"""The key that encrypts tokens, while other clients send invalid tokens."""

from typing import Any

from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity import Tokens, User
from novnc_twisted.identity.tokens import TOKEN_TTL
from novnc_twisted.messaging.memory_store import MemoryStore

ALICE = User("alice", "red", "a hash")


class KeyTests(SynchronousTestCase):
    """An invalid token has no effect on other clients."""

    def setUp(self) -> None:
        self.store = MemoryStore(Clock())
        self.tokens = Tokens(self.store, {"alice": ALICE}.get, lambda: 1000.0)
        self.token, self.expires = self.wait(self.tokens.issue(ALICE, "red"))
        self.foreign = Fernet(Fernet.generate_key()).encrypt_at_time(b"{}", 1000).decode()

    def wait(self, work: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(work))

    def is_good(self) -> bool:
        return self.wait(self.tokens.read(self.token)) is not None

    def test_the_time_at_which_a_token_expires(self) -> None:
        self.assertEqual(self.expires, 1000 + TOKEN_TTL)
        self.assertEqual(self.wait(self.tokens.read(self.token))[1], self.expires)

    def test_reading_makes_no_key(self) -> None:
        """Only a log-in makes a key: reading needs no credentials, so it must not write to the store."""
        self.successResultOf(self.store.remove("api:identity"))
        self.assertIsNone(self.wait(self.tokens.read(self.foreign)))
        self.assertIsNone(self.successResultOf(self.store.get("api:identity")))

    def test_the_store_does_not_answer(self) -> None:
        self.patch(self.store, "get", lambda key: fail(ServiceUnavailable("Redis is gone")))
        reading = Deferred.fromCoroutine(self.tokens.read(self.foreign))
        self.failureResultOf(reading, ServiceUnavailable)
        self.assertTrue(self.is_good())

    def test_a_damaged_key(self) -> None:
        for stored in ({}, {"secret": 7}, {"secret": "x"}, {"secret": "\xe4"}):
            self.successResultOf(self.store.put("api:identity", stored, 100.0))
            self.failureResultOf(Deferred.fromCoroutine(self.tokens.read(self.foreign)), ServiceUnavailable)
            self.failureResultOf(Deferred.fromCoroutine(self.tokens.issue(ALICE, "red")), ServiceUnavailable)
            self.assertTrue(self.is_good())

    def test_a_client_leaves(self) -> None:
        self.patch(self.store, "get", lambda key: Deferred())
        Deferred.fromCoroutine(self.tokens.read(self.foreign)).addErrback(lambda _: None).cancel()
        self.assertTrue(self.is_good())

    def test_a_log_in_after_the_store_lost_its_data(self) -> None:
        """The key in memory is stored again, so tokens stay valid."""
        self.successResultOf(self.store.remove("api:identity"))
        slow: Deferred[None] = Deferred()
        with_get = self.store.get
        self.patch(self.store, "get", lambda key: slow)
        Deferred.fromCoroutine(self.tokens.read(self.foreign))
        self.store.get = with_get  # type: ignore[method-assign]
        self.wait(self.tokens.issue(ALICE, "red"))
        slow.callback(None)
        self.assertTrue(self.is_good())

    def test_a_key_that_another_worker_made(self) -> None:
        other = Tokens(self.store, {"alice": ALICE}.get, lambda: 1000.0)
        self.successResultOf(self.store.remove("api:identity"))
        token, _ = self.wait(other.issue(ALICE, "red"))
        self.assertIsNotNone(self.wait(self.tokens.read(token)))
