"""What the page says of itself where TLS is ours."""

from tests.frontend.tls_case import TLSCase

ALONE = b"Cross-Origin-Opener-Policy: same-origin"


class PageByTLS(TLSCase):
    async def test_alone(self) -> None:
        """By TLS, whatever the base URL says; not to who comes in plain on the same port."""
        self.novnc()
        self.assertIn(ALONE, await self.page())
        self.assertNotIn(ALONE, await self.page(plain=True))
