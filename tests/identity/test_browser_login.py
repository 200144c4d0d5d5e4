"""The cookie that logs a browser in."""

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.request import Request
from novnc_twisted.identity.browser_login import cookie


class CookieTests(SynchronousTestCase):
    def attributes(self, request: Request) -> list[str]:
        name, value = cookie(request, "secret", 60)
        self.assertEqual((name, value.partition(";")[0]), ("Set-Cookie", "novnc_login=secret"))
        return value.split("; ")[1:]

    def test_secure_over_https(self) -> None:
        """Browsers then do not send it over http."""
        always = ["HttpOnly", "SameSite=Lax"]
        self.assertEqual(self.attributes(Request(method="POST", segments=())), ["Max-Age=60", "Path=/", *always])
        request = Request(method="POST", segments=(), scheme="https", prefix="/compute")
        self.assertEqual(self.attributes(request), ["Max-Age=60", "Path=/compute/", *always, "Secure"])
