"""The cache of Keystone's answers about tokens."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity.keystone import token_cache
from novnc_twisted.identity.keystone.access_rules import AccessRule
from novnc_twisted.identity.keystone.token import KeystoneToken
from novnc_twisted.identity.keystone.token_cache import MAX_RULES, TokenCache
from tests.support.identity import token_body

TOKEN = KeystoneToken.read(token_body())


class TokenCacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.cache = TokenCache(self.clock.seconds, 300)

    def test_ages(self) -> None:
        self.cache.put(b"k", TOKEN, self.clock.seconds())
        self.assertIs(self.cache.get(b"k", 5), TOKEN)
        self.clock.advance(5)
        self.assertIsNone(self.cache.get(b"k", 5))
        self.assertIs(self.cache.get(b"k", 300), TOKEN)
        self.clock.advance(295)
        self.assertIsNone(self.cache.get(b"k", 1000))
        self.assertEqual(len(self.cache), 0)

    def test_the_age_counts_from_the_request(self) -> None:
        asked_at = self.clock.seconds()
        self.clock.advance(4)
        self.cache.put(b"k", TOKEN, asked_at)
        self.clock.advance(1)
        self.assertIsNone(self.cache.get(b"k", 5))

    def test_no_cache(self) -> None:
        for lifetime in (0, -1):
            cache = TokenCache(self.clock.seconds, lifetime)
            cache.put(b"k", TOKEN, self.clock.seconds())
            self.assertEqual(len(cache), 0)

    def test_bounds(self) -> None:
        self.patch(token_cache, "MAX_ENTRIES", 3)
        for key in (b"1", b"2", b"3"):
            self.cache.put(key, TOKEN, 0)
        self.cache.get(b"1", 300)
        self.cache.put(b"4", TOKEN, 0)
        self.assertEqual(
            [self.cache.get(key, 300) is not None for key in (b"1", b"2", b"3", b"4")], [True, False, True, True]
        )
        rules = (AccessRule("compute", "GET", "/"),) * (MAX_RULES + 1)
        many = KeystoneToken(TOKEN.user, None, False, frozenset(), True, 0.0, rules)
        self.cache.put(b"1", many, 0)
        self.assertIsNone(self.cache.get(b"1", 300))

    def test_keys_are_hashes(self) -> None:
        self.assertEqual(len(TokenCache.key("x" * 4000)), 32)
        self.assertNotEqual(TokenCache.key("x"), TokenCache.key("y"))
