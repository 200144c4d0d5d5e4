"""Cross-Origin-Opener-Policy of the page, if the proxy itself serves TLS."""

from tests.frontend.tls_case import TLSCase

ALONE = b"Cross-Origin-Opener-Policy: same-origin"


class PageByTLS(TLSCase):
    async def test_alone(self) -> None:
        """It is sent over TLS, whatever the base URL is, but not over plain http on the same port."""
        self.novnc()
        self.assertIn(ALONE, await self.page())
        self.assertNotIn(ALONE, await self.page(plain=True))
