"""Refused requests as events and in the log, and unexpected exceptions of the API."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events import RequestRefused
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, System, running
from tests.api.users import TOKENS, UsersCase, basic, log_in
from tests.http.harness import Connection
from tests.support.logged import Logged
from tests.support.observed import only

GOOD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class NoAuthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.refusals: list[RequestRefused] = []
        self.system: System = running(self, NoAuth(), FakeHost("host1"), observer=only(RequestRefused, self.refusals))

    def event(self, data: bytes, **where: Any) -> tuple[str, int | None, str]:
        """Send some bytes; return cause, status and address of the only event."""
        self.refusals.clear()
        connection = Connection(self.system.site, **where)
        connection.send(data)
        (event,) = self.refusals
        statuses = [answer.status for answer in connection.answers()]
        self.assertEqual((event.service, statuses), ("consoleapi", [event.status]))
        self.assertTrue(event.detail)
        return event.cause, event.status, event.address

    def test_noauth(self) -> None:
        for version, line, cause, refused in (
            (
                b"1.1",
                b"Host: evil.example",
                "NotLocal",
                "requests from other machines, or with a Host that is neither localhost nor a loopback address",
            ),
            (
                b"1.1",
                b"Host: localhost\r\nOrigin: http://evil.example",
                "ForeignPage",
                "requests of web pages of other sites",
            ),
            (b"1.1", b"Host: localhost\r\nVia: x", "ReverseProxy", "requests of proxies (header via)"),
            (b"1.0", b"Host: localhost", "ReverseProxy", "HTTP versions other than 1.1, because some proxies use 1.0"),
        ):
            data = b"GET /v2.1/servers HTTP/" + version + b"\r\n" + line + b"\r\n\r\n"
            self.assertEqual(self.event(data), (cause, 403, "127.0.0.1"))
            self.assertIn(f"auth_strategy noauth does not accept {refused}.", self.refusals[0].detail)
            self.assertEqual(self.refusals[0].option, "[api] auth_strategy")

    def test_malformed(self) -> None:
        for data, cause, status in (
            (b"GET /\r\n\r\n", "BadRequest", 400),
            (b"GET x HTTP/1.1\r\nHost: localhost\r\n\r\n", "BadRequest", 400),
            (b"GET / HTTP/1.1\r\n\r\n", "BadRequest", 400),
            (b"GET http://a@b/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "BadRequest", 400),
            (b"GET /" + b"a" * 20_000, "HeadTooBig", 431),
            (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n", "BodyTooBig", 413),
        ):
            self.assertEqual(self.event(data, peer="192.0.2.7"), (cause, status, "192.0.2.7"), data[:50])

    def test_what_cannot_be_read_is_answered_in_nova_s_format(self) -> None:
        for data, name in (
            (b"GET /\r\n\r\n", "badRequest"),
            (b"GET / HTTP/1.1\r\n\r\n", "badRequest"),
            (b"GET /" + b"a" * 20_000, "computeFault"),
            (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n", "overLimit"),
        ):
            connection = Connection(self.system.site)
            connection.send(data)
            (answer,) = connection.answers()
            self.assertEqual(list(answer.body), [name])

    def test_errors_of_the_api_are_no_events(self) -> None:
        for method, path, status in (
            ("GET", "/v2.1/servers/x", 404),
            ("DELETE", "/v2.1/servers", 405),
            ("GET", "/v2.1/servers?limit=x", 400),
            ("POST", "/v2.1/servers/x/action", 400),
        ):
            self.assertEqual(self.system.ask(method, path, [] if method == "POST" else None).status, status)
        self.assertEqual(self.refusals, [])

    def test_hundreds_of_refusals_in_the_log(self) -> None:
        """Each cause is logged at once, again after a minute with the number of further refusals, and when it ends."""
        log = Logged(self)
        system = running(self, NoAuth(), FakeHost("host1"))
        for _ in range(200):
            Connection(system.site).send(b"GET / HTTP/1.1\r\nHost: localhost\r\nVia: x\r\n\r\n")
            Connection(system.site).send(b"x\x1b[2J\r\n\r\n")
        self.assertEqual(len(log.lines("consoleapi: refused")), 2)
        (line,) = log.lines("ReverseProxy")
        self.assertIn("header via", line)
        self.assertIn("[api] auth_strategy", line)
        for _ in range(3):
            system.reactor.advance(60)
        self.assertEqual(len(log.lines("199 more times")), 2)
        self.assertEqual(len(log.lines("0 more times in the last minute")), 2)
        self.assertTrue(all(line.isprintable() for line in log.lines("consoleapi")))


class UnexpectedErrorTests(SynchronousTestCase):
    def test_an_exception_is_logged_and_not_shown(self) -> None:
        async def broken(*_: Any) -> Any:
            raise ZeroDivisionError("inner secret")

        system = running(self, NoAuth())
        self.patch(system.site.application.compute, "answer", broken)
        answer = system.get("/v2.1/servers")
        self.assertEqual((answer.status, list(answer.body)), (500, ["computeFault"]))
        self.assertNotIn(b"secret", answer.raw)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LockoutTests(UsersCase):
    def test_locked_out(self) -> None:
        for _ in range(8):
            self.system.get("/v2.1/servers", Authorization=basic("alice", "wrong"))
        for _ in range(2):
            self.system.post(TOKENS, log_in("alice", "wrong"))
        self.assertEqual({(event.cause, event.status) for event in self.refusals}, {("LockedOut", 429)})
        self.assertEqual(len(self.refusals), 5)
        self.assertTrue(self.refusals[0].severe)
        self.assertIn("[api] lockout_failures", self.refusals[0].option)
        self.assertNotIn("wrong", str(self.refusals))
