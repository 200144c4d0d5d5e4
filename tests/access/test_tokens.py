"""Tokens in requests, and their removal from logs."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.access import hash_token, scrub, token_of, tokens
from novnc_twisted.access.tokens import hash_of_session
from tests.support.untimed import untimed

TOKEN = "34ce7a44-6186-43d8-be14-2ea9e028b8fa"


class KeptHashTests(SynchronousTestCase):
    def test_the_same_result(self) -> None:
        for token in ("", TOKEN, "\udcff", "x" * 100_000):
            self.assertEqual(hash_of_session(token), hash_token(token))

    def test_a_few_tokens_are_kept(self) -> None:
        """The hashes of longer texts are not kept, because these must not fill the memory."""
        tokens._remembered.cache_clear()
        for number in range(100):
            hash_of_session(f"{TOKEN}{number}")
            hash_of_session("x" * (tokens.MAX_TOKEN + number + 1))
        self.assertEqual(tokens._remembered.cache_info().currsize, tokens.MOST_KEPT)
        self.assertEqual(tokens._remembered.cache_info().misses, 100)


class TokenOfTests(SynchronousTestCase):
    def test_cases(self) -> None:
        for path, cookies, found in (
            ("/?token=T", (), "T"),
            ("/websockify?a=b&token=T", (), "T"),
            ("/?token=A&token=T", (), "T"),
            ("/?token=T&token=", (), None),
            ("/?token=", (), None),
            ("/", (), None),
            ("/token=T", (), None),
            ("/", ("token=T",), "T"),
            ("/", ("a=b; token=T; ?=!",), "T"),
            ("/", ("=;;;a", "x; token=T"), "T"),
            ("/", ("nottoken=T",), None),
            ("/", ("novnc_login=T",), None),
            ("/", ("novnc_login=L; token=T",), "T"),
            ("/?token=Q", ("token=C",), "Q"),
            ("/?token=", ("token=C",), "C"),
            ("//[/?token=T", (), None),
            ("/?" + "a=1&" * 200 + "token=T", (), None),
        ):
            self.assertEqual(token_of(path, cookies), found, path)

    def test_compared_exactly(self) -> None:
        self.assertNotEqual(hash_token(TOKEN), hash_token(TOKEN.upper()))
        self.assertNotEqual(hash_token(TOKEN), hash_token(TOKEN + " "))

    def test_hash_is_novas(self) -> None:
        self.assertEqual(hash_token("a"), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")

    @untimed
    @given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
    def test_anything_is_answered(self, path: str, cookies: list[str]) -> None:
        token = token_of(path, cookies)
        self.assertTrue(token is None or (token and hash_token(token)))


class ScrubTests(SynchronousTestCase):
    def test_cases(self) -> None:
        for line in (
            f"/?token={TOKEN}",
            f"/vnc_auto.html?path=%3Ftoken%3D{TOKEN}",
            f"/vnc_auto.html?path=websockify%3ftoken%3d{TOKEN}&autoconnect=1",
            f"GET /x?a=b&TOKEN={TOKEN}&c=d HTTP/1.1",
            f'"http://h:6080/vnc_auto.html?token={TOKEN}"',
            f"token={TOKEN}; other=1",
            f"/?tok%65n={TOKEN}",
            f"/?%74%4Fk%65n%3D{TOKEN}",
            f"/vnc_auto.html?path=%3Ft%256Fken%253D{TOKEN}",
            f"/?token=;{TOKEN}",
            f"/?token='{TOKEN}",
            f'/?token="{TOKEN}',
        ):
            self.assertNotIn(TOKEN, scrub(line))
            self.assertIn("***", scrub(line))

    def test_the_rest_stays(self) -> None:
        self.assertEqual(scrub("/x?a=b&token=T&c=d"), "/x?a=b&token=***&c=d")
        self.assertEqual(scrub("/v?path=%3Ftoken%3DT%26x%3D1&y=2"), "/v?path=%3Ftoken%3D***&y=2")
        self.assertEqual(scrub("/index.html"), "/index.html")

    @untimed
    @given(st.text(alphabet="abcXYZ019-._~:/?#[]@!$&'()*+,;=% ", min_size=8, max_size=40))
    def test_a_token_of_any_letters_as_urls_carry_it(self, token: str) -> None:
        carried = quote(token, safe="")
        for line in (f"/?token={carried}", f"/?path=%3Ftoken%3D{quote(carried, safe='')}"):
            self.assertNotIn(carried, scrub(line))
