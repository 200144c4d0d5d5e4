"""After failed log-ins, the API locks the client out with 429, and no longer compares passwords."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from novnc_twisted.identity import HTTPBasic, passwords
from novnc_twisted.identity.lockout import LockoutSettings
from tests.api.harness import running
from tests.api.users import TOKENS, UsersCase, basic, log_in
from tests.http.harness import Answer
from tests.support.logged import Logged

MESSAGE = "Too many failed log-ins. Try again in 2 s."


class LockoutTests(UsersCase):
    def setUp(self) -> None:
        super().setUp()
        self.compared = 0
        matches = passwords.matches

        def counted(*given: bytes) -> bool:
            self.compared += 1
            return matches(*given)

        self.patch(passwords, "matches", counted)

    def restart(self, **settings: Any) -> None:
        """Restart the API with these settings."""
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"], lockout=LockoutSettings(**settings))
        self.system = running(self, auth, *self.hosts, reactor=self.reactor, trusted_proxies=["10.0.0.1"])

    def by_basic(self, name: str = "alice", password: str = "wrong", **more: str) -> Answer:
        return self.system.get("/v2.1/servers", Authorization=basic(name, password), **more)

    def by_identity(self, name: str = "alice", password: str = "wrong") -> Answer:
        return self.system.post(TOKENS, log_in(name, password))

    def statuses(self, times: int, **given: str) -> list[int]:
        return [self.by_basic(**given).status for _ in range(times)]

    def test_both_ways_count_together(self) -> None:
        for ask in (self.by_basic, self.by_identity, self.by_basic, self.by_identity, self.by_basic):
            self.assertEqual(ask().status, 401)
        answer = self.by_basic()
        fault = {"overLimit": {"code": 429, "message": MESSAGE, "retryAfter": "2"}}
        self.assertEqual((answer.status, answer["retry-after"], answer.body), (429, "2", fault))
        answer = self.by_identity()
        error = {"error": {"code": 429, "title": "Too Many Requests", "message": MESSAGE}}
        self.assertEqual((answer.status, answer["retry-after"], answer.body), (429, "2", error))

    def test_the_correct_password_is_refused_as_well(self) -> None:
        """Otherwise the response would reveal that a guess is correct."""
        self.statuses(5)
        self.assertEqual((self.by_basic(password="r3d:pass").status, self.compared), (429, 5))
        self.reactor.advance(2)
        self.assertEqual(self.by_basic(password="r3d:pass").status, 200)
        self.assertEqual(self.statuses(4), [401] * 4, "the success reset the count")

    def test_a_remembered_password_is_refused_as_well(self) -> None:
        self.by_basic(password="r3d:pass")
        self.statuses(5)
        self.assertEqual(self.by_basic(password="r3d:pass").status, 429)

    def test_back_off(self) -> None:
        self.statuses(4)
        waits = []
        for _ in range(4):
            self.assertEqual(self.by_basic().status, 401)
            answer = self.by_basic()
            waits.append(int(answer["retry-after"]))
            self.reactor.advance(waits[-1])
        self.assertEqual((waits, self.compared), ([2, 4, 8, 16], 8))

    def test_unknown_users(self) -> None:
        """Responses and the number of comparisons are as for an existing user, before and during the lock-out."""
        seen = []
        for name in ("alice", "nobody"):
            self.restart()
            self.compared = 0
            answers = [ask(name) for _ in range(4) for ask in (self.by_basic, self.by_identity)]
            seen.append(([(answer.status, answer.raw) for answer in answers], self.compared))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual([status for status, _ in seen[0][0]], [401] * 5 + [429] * 3)
        self.assertEqual(seen[0][1], 5)

    def test_no_comparison_while_locked_out(self) -> None:
        self.statuses(500)
        self.assertEqual(self.compared, 5)

    def test_the_user_elsewhere_is_not_locked_out(self) -> None:
        self.statuses(100)
        self.system.peer = "198.51.100.9"
        self.assertEqual(self.by_basic(password="r3d:pass").status, 200)

    def test_other_users_of_the_address_are_not_locked_out(self) -> None:
        self.statuses(20)
        self.assertEqual(self.by_basic("root", "toor").status, 200)

    def test_many_names_from_one_address(self) -> None:
        self.restart(failures_per_address=10)
        self.assertEqual([self.by_basic(f"user{at}").status for at in range(12)], [401] * 10 + [429] * 2)
        self.assertEqual(self.by_basic("root", "toor").status, 429)
        self.system.peer = "198.51.100.9"
        self.assertEqual(self.by_basic("root", "toor").status, 200)

    def test_tokens_are_not_log_ins(self) -> None:
        """A valid token still works, and invalid ones are not counted."""
        token = self.token()
        for _ in range(100):
            self.refused(self.system.get("/v2.1/servers", X_Auth_Token="gAAAAABx"))
        self.statuses(10)
        self.assertEqual(self.names(X_Auth_Token=token), ["red-vm"])

    def test_malformed_log_ins_are_not_counted(self) -> None:
        for header in ("Basic !", "Bearer x", "", "Basic " + "A" * 400):
            for _ in range(10):
                self.refused(self.system.get("/v2.1/servers", Authorization=header))
        for _ in range(10):
            self.by_identity("alice", None)  # type: ignore[arg-type]
        self.assertEqual((self.by_basic(password="r3d:pass").status, self.compared), (200, 1))

    def test_a_refused_scope_is_not_counted(self) -> None:
        for _ in range(10):
            self.refused(self.system.post(TOKENS, log_in("alice", "r3d:pass", "blue")))
        self.assertEqual(self.by_basic(password="r3d:pass").status, 200)

    def test_the_address_that_a_trusted_proxy_names(self) -> None:
        self.restart()
        for at in range(10):
            self.by_basic(X_Forwarded_For=f"203.0.113.{at}")
        self.assertEqual(self.by_basic().status, 429, "this peer is not a trusted proxy")
        self.system.peer = "10.0.0.1"
        for _ in range(6):
            status = self.by_basic(X_Forwarded_For="203.0.113.1, 203.0.113.7").status
        self.assertEqual(status, 429)
        self.assertEqual(self.by_basic(password="r3d:pass", X_Forwarded_For="203.0.113.1").status, 200)

    def test_a_user_attacked_from_many_addresses_is_delayed(self) -> None:
        self.restart(failures_per_user=10)
        for at in range(10):
            self.system.peer = f"203.0.113.{at}"
            self.assertEqual(self.by_basic().status, 401)
        self.system.peer = "198.51.100.9"
        for _ in range(2):
            connection = self.system.send("GET", "/v2.1/servers", Authorization=basic("alice", "r3d:pass"))
            if not connection.answers():
                self.reactor.advance(0.5)
            self.assertEqual([answer.status for answer in connection.answers()], [200])
        self.assertEqual(self.compared, 11)

    def test_off(self) -> None:
        self.restart(failures=0)
        self.assertEqual(self.statuses(200), [401] * 200)

    def test_the_log(self) -> None:
        """The log contains the names of users, but no unknown name, which may be a password in the wrong field."""
        log = Logged(self)
        self.statuses(6)
        self.assertEqual(len(log.lines("user alice is locked out from 127.0.0.1 for 2 s")), 1)
        self.statuses(6, name="my-password")
        self.assertTrue(log.lines("an unknown user is locked out"))
        self.assertFalse(log.lines("my-password"))


class ManyAtOnceTests(UsersCase):
    """Guesses that are sent before the first is answered are counted as well."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Any] = []
        self.reactor.pool = self

    def callInThreadWithCallback(self, on_result: Any, function: Any, *given: bytes) -> None:
        self.waiting.append(lambda: on_result(True, function(*given)))

    def send(self, *passwords: str) -> list[Any]:
        headers = [basic("alice", password) for password in passwords]
        return [self.system.send("GET", "/v2.1/servers", Authorization=header) for header in headers]

    def run_all(self) -> int:
        ran = 0
        while self.waiting:
            self.waiting.pop(0)()
            ran += 1
        return ran

    def statuses(self, connections: list[Any]) -> list[int]:
        return [answer.status for connection in connections for answer in connection.answers()]

    def test_wrong_passwords(self) -> None:
        """Four passwords are compared at a time, so at most three more than the five that are allowed."""
        connections = self.send(*(f"wrong {number}" for number in range(50)))
        ran = self.run_all()
        self.assertLessEqual(ran, 5 + passwords.CONCURRENT - 1)
        self.assertEqual(sorted(self.statuses(connections)), [401] * ran + [429] * (50 - ran))

    def test_the_same_wrong_password(self) -> None:
        """It is compared once, and each request counts as a failure."""
        connections = self.send(*["wrong"] * 50)
        self.assertEqual(self.run_all(), 1)
        self.assertEqual(self.statuses(connections), [401] * 5 + [429] * 45)
        self.reactor.advance(2)
        self.send("wrong")
        self.assertEqual(self.run_all(), 1, "the result for a wrong password is not cached")

    def test_correct_passwords(self) -> None:
        connections = self.send(*["r3d:pass"] * 50)
        self.assertEqual(self.run_all(), 1)
        self.assertEqual(self.statuses(connections), [200] * 50)

    def test_log_ins_at_the_identity_service_share_it(self) -> None:
        connections = self.send("r3d:pass")
        connections += [self.system.send("POST", TOKENS, log_in("alice", "r3d:pass")) for _ in range(20)]
        self.assertEqual(self.run_all(), 1)
        self.assertEqual(self.statuses(connections), [200] + [201] * 20)

    def test_the_first_client_leaves(self) -> None:
        connections = self.send(*["r3d:pass"] * 3)
        connections[0].protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.run_all(), 1)
        self.assertEqual(self.statuses(connections), [200] * 2)

    def test_clients_that_leave_are_counted(self) -> None:
        ran = 0
        for _ in range(20):
            (connection,) = self.send("wrong")
            connection.protocol.connectionLost(Failure(ConnectionDone()))
            ran += self.run_all()
        self.assertEqual(ran, 5)
        self.assertEqual(self.statuses(self.send("r3d:pass")), [429])
        self.assertEqual(self.reactor.getDelayedCalls()[1:], [])


class SettingsTests(UsersCase):
    def test_defaults_of_the_options(self) -> None:
        """The defaults of the options are those of LockoutSettings."""
        from novnc_twisted.service.options.table import API
        from novnc_twisted.service.settings import lockout_settings

        class Options:
            def __init__(self) -> None:
                self.__dict__.update({option.name: option.default for option in API})

        self.assertEqual(lockout_settings(Options()), LockoutSettings())
