"""The cookie that logs a browser in."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.http.request import Request
from novnc_twisted.identity.browser_login import LogOuts, cookie, secret_of
from novnc_twisted.messaging.memory_store import MemoryStore


class CookieTests(SynchronousTestCase):
    def attributes(self, request: Request) -> list[str]:
        name, value = cookie(request, "secret", 60)
        self.assertEqual((name, value.partition(";")[0]), ("Set-Cookie", "novnc_login=secret"))
        return value.split("; ")[1:]

    def test_secure_over_https(self) -> None:
        """Browsers do not send a cookie with Secure over http."""
        always = ["HttpOnly", "SameSite=Lax"]
        self.assertEqual(self.attributes(Request(method="POST", segments=())), ["Max-Age=60", "Path=/", *always])
        request = Request(method="POST", segments=(), scheme="https", prefix="/compute")
        self.assertEqual(self.attributes(request), ["Max-Age=60", "Path=/compute/", *always, "Secure"])


class SecretTests(SynchronousTestCase):
    def secret(self, *lines: str) -> str | None:
        return secret_of(Request(method="GET", segments=(), headers={"cookie": list(lines)}))

    def test_the_first_of_two(self) -> None:
        """Browsers send the cookie with the longest path first."""
        self.assertEqual(self.secret("novnc_login=ours; novnc_login=of-the-root"), "ours")
        self.assertEqual(self.secret("a=b", "novnc_login=ours", "novnc_login=of-the-root"), "ours")

    def test_others(self) -> None:
        """Other cookies and malformed ones are ignored."""
        self.assertEqual(self.secret("novnc_login; ;=; novnc_login=; token=x; novnc_login=ours;"), "ours")
        self.assertIsNone(self.secret("novnc_login_2=x; token=y"))
        self.assertIsNone(self.secret("novnc_login=" + "x" * 4097))
        self.assertIsNone(self.secret())


class LogOutTests(SynchronousTestCase):
    def test_a_damaged_record(self) -> None:
        """If the time of the log-out is unknown, every log-in counts as ended."""
        store = MemoryStore(Clock())
        logged_out = LogOuts(store)
        self.successResultOf(Deferred.fromCoroutine(logged_out.note("alice", 100.0)))
        (key,) = store._entries
        for damaged in ({}, {"at": None}, {"at": "x"}, {"at": []}):
            self.successResultOf(store.put(key, damaged, 100.0))
            self.assertTrue(self.successResultOf(Deferred.fromCoroutine(logged_out.has_ended("alice", 10.0**12))))
