"""The strategy keystone: whole requests to the API, with a simulated Keystone."""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.errors import ServiceUnavailable
from novnc_twisted.identity import KeystoneUsers, Roles
from novnc_twisted.identity.keystone.fair_share import FREE, SHARE
from novnc_twisted.keystone.bounded import CONNECTIONS
from tests.api.harness import FakeReactor
from tests.http.harness import Answer as Response
from tests.http.harness import Connection
from tests.identity.keystone_case import TOKEN, URL, FakeKeystone, KeystoneCase
from tests.support.identity import token_body
from tests.support.logged import Logged


class PingTests(SynchronousTestCase):
    def test_readiness(self) -> None:
        """ping() fails if Keystone does not let us validate tokens."""
        keystone = FakeKeystone()
        users = KeystoneUsers(FakeReactor(), keystone, identity_url=URL)
        self.successResultOf(Deferred.fromCoroutine(users.ping()))
        keystone.status = 403
        failure = self.failureResultOf(Deferred.fromCoroutine(users.ping()), ServiceUnavailable)
        self.assertIn("role service or admin", failure.value.detail)


class RightsTests(KeystoneCase):
    def test_projects_and_roles(self) -> None:
        self.assertEqual(self.names(), ["red-vm"])
        self.assertEqual(self.names(roles=("reader",)), ["red-vm"])
        # Projects are compared by id: another domain may have a project of the same name.
        self.assertEqual(self.names(project="other-red-id"), ["other-red-vm"])
        self.assertEqual(self.names(project="blue-id"), [])
        everything = ["nobodys", "other-red-vm", "red-vm"]
        self.assertEqual(self.names(roles=("admin",)), everything)
        self.assertEqual(self.names(roles=("admin",), project=None, system={"all": True}), everything)

    def test_the_user_and_the_project_of_a_console(self) -> None:
        self.assertEqual(self.make().status, 200)
        (made,) = self.system.consoleauth.tokens.values()
        self.assertEqual((made["connect_info"]["user_id"], made["connect_info"]["project_id"]), ("alice-id", "red-id"))
        self.assertEqual(made["owner"], "red-id")
        self.assertEqual(self.make(server="other-red-vm").status, 404)

    def test_a_reader_opens_no_console(self) -> None:
        self.keystone.tokens[TOKEN] = token_body(roles=("reader",), expires_at=10_000)
        self.assertEqual(self.get().status, 200)
        answer = self.make()
        self.assertEqual((answer.status, list(answer.body)), (403, ["forbidden"]))
        self.assertEqual(self.make(server="nobodys").status, 403)
        self.assertEqual(self.system.consoleauth.tokens, {})

    def test_no_right(self) -> None:
        for more in ({"roles": ("creator",)}, {"project": None}, {"project": None, "roles": ("admin",)}):
            self.keystone.tokens["t"] = token_body(expires_at=10_000, **more)
            self.assertEqual((self.get(token="t").status, self.make("t").status), (403, 403))
            self.reactor.advance(300)

    def test_other_names_of_roles(self) -> None:
        self.system = self.build(roles=Roles.of(["boss"], ["_member_"], []))
        self.assertEqual(self.names(roles=("_member_",)), ["red-vm"])
        self.assertEqual(len(self.names(roles=("Boss",))), 3)
        self.assertEqual(self.get().status, 403)

    def test_access_rules(self) -> None:
        rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
        credential = {"id": "x", "access_rules": [rule]}
        self.keystone.tokens["t"] = token_body(application_credential=credential, expires_at=10_000)
        statuses = [self.get(path, "t").status for path in ("/v2.1/servers", "/v2.1/servers/detail", "/v2.1/flavors")]
        self.assertEqual([*statuses, self.make("t").status], [200, 401, 401, 401])
        self.assertEqual({headers["OpenStack-Identity-Access-Rules"] for headers in self.keystone.asked}, {"1"})
        self.system = self.build(service_type="console")
        self.assertEqual(self.get(token="t").status, 401)


class CredentialsTests(KeystoneCase):
    def test_what_is_refused_and_how(self) -> None:
        refused = [self.system.get("/v2.1/servers"), self.get(token="unknown"), self.get(token="")]
        refused += [self.get(token="x" * 5000), self.get(token="a b"), self.get(token="\x80")]
        refused.append(self.system.get("/v2.1/servers", Authorization="Basic YWxpY2U6eA=="))
        refused.append(self.system.get("/v2.1/servers", X_Service_Token=TOKEN, X_Roles="admin", X_Project_Id="red-id"))
        for answer in refused:
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer["www-authenticate"], f'Keystone uri="{URL}"')
            self.assertEqual(answer.body["error"]["title"], "Unauthorized")
        # Only the value that could be a token was sent to Keystone.
        self.assertEqual([headers["X-Subject-Token"] for headers in self.keystone.asked], ["unknown"])

    def test_a_service_token_changes_nothing(self) -> None:
        self.assertEqual(self.get(token="expired", X_Service_Token=TOKEN).status, 401)
        self.assertEqual(self.get(X_Service_Token="rubbish").status, 200)

    def test_spaces_around_a_token(self) -> None:
        self.assertEqual(self.get(token=f"  {TOKEN} ").status, 200)

    def test_twice(self) -> None:
        connection = Connection(self.system.site)
        connection.send(b"GET /v2.1/servers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: x\r\nX-Auth-Token: y\r\n\r\n")
        self.assertEqual([answer.status for answer in connection.answers()], [400])

    def test_documents(self) -> None:
        """Version documents are public; the identity endpoints give 404 and name Keystone's URL."""
        for path, status in (("/", 200), ("/v2.1", 200), ("/image", 300)):
            self.assertEqual(self.system.get(path, Host="cloud.example").status, status)
        for path in ("/identity", "/identity/v3", "/identity/v3/auth/tokens"):
            answer = self.system.get(path)
            self.assertEqual(answer.status, 404)
            self.assertIn(URL, answer.body["error"]["message"])
        self.assertEqual(self.system.post("/identity/v3/auth/tokens", {"auth": {}}).status, 404)
        self.assertEqual(self.keystone.asked, [])


class FreshnessTests(KeystoneCase):
    def asked(self) -> int:
        return len(self.keystone.asked)

    def test_lists_use_an_answer_for_300_s(self) -> None:
        for seconds, asked in ((0, 1), (299, 1), (1, 2), (299, 2)):
            self.reactor.advance(seconds)
            self.assertEqual((self.get().status, self.asked()), (200, asked))

    def test_changes_use_an_answer_for_5_s(self) -> None:
        for seconds, asked in ((0, 1), (4.9, 1), (0.1, 2), (4.9, 2), (60, 3)):
            self.reactor.advance(seconds)
            self.assertEqual((self.make().status, self.asked()), (200, asked))

    def test_a_revoked_token(self) -> None:
        self.get()
        del self.keystone.tokens[TOKEN]
        self.reactor.advance(60)
        self.assertEqual(self.get().status, 200)
        self.assertEqual(self.make().status, 401)
        # Lists use the answer that the change got.
        self.assertEqual(self.get().status, 401)

    def test_a_revoked_token_that_only_lists(self) -> None:
        self.get()
        del self.keystone.tokens[TOKEN]
        self.reactor.advance(299)
        self.assertEqual(self.get().status, 200)
        self.reactor.advance(1)
        self.assertEqual(self.get().status, 401)

    def test_a_role_that_was_taken_away(self) -> None:
        self.make()
        self.keystone.tokens[TOKEN] = token_body(roles=("reader",), expires_at=10_000)
        self.reactor.advance(5)
        self.assertEqual(self.make().status, 403)

    def test_the_end_of_a_token(self) -> None:
        self.keystone.tokens[TOKEN] = token_body(expires_at=100)
        self.assertEqual(self.get().status, 200)
        self.reactor.advance(99)
        self.assertEqual(self.get().status, 200)
        self.reactor.advance(1)
        self.assertEqual(self.get().status, 401)

    def test_refusals_are_not_remembered(self) -> None:
        self.get(token="later")
        self.keystone.tokens["later"] = token_body(expires_at=10_000)
        self.assertEqual(self.get(token="later").status, 200)

    def test_requests_that_come_together(self) -> None:
        """They share one validation, which goes on for the others when one client leaves."""
        self.keystone.silent = True
        connections = [self.system.send("GET", "/v2.1/servers", X_Auth_Token=TOKEN) for _ in range(3)]
        self.assertEqual(self.asked(), 1)
        connections[0].protocol.connectionLost(Failure(ConnectionDone()))
        (waiting,) = self.keystone.waiting
        waiting.callback(self.keystone.answer_to(TOKEN))
        self.assertEqual([[answer.status for answer in one.answers()] for one in connections[1:]], [[200], [200]])

    def test_no_cache(self) -> None:
        self.cache_time = 0
        self.system = self.build()
        for _ in range(2):
            self.get()
        self.assertEqual(self.asked(), 2)

    def test_not_longer_than_300_s(self) -> None:
        self.cache_time = 3600
        self.system = self.build()
        self.get()
        self.reactor.advance(300)
        self.get()
        self.assertEqual(self.asked(), 2)


class FloodTests(KeystoneCase):
    def flood(self, peer: str, count: int, token: str = "made-up") -> list[int]:
        """Send requests with different unknown tokens; return the statuses of those that are answered at once."""
        self.system.peer = peer
        sent = [self.system.send("GET", "/v2.1/servers", X_Auth_Token=f"{token}-{n}") for n in range(count)]
        return [answer.status for connection in sent for answer in connection.answers()]

    def test_one_network_does_not_take_all_validations(self) -> None:
        self.get()
        self.keystone.silent = True
        statuses = self.flood("192.0.2.1", 500)
        self.assertEqual(statuses, [429] * (500 - FREE))
        self.assertEqual(self.flood("192.0.2.2", SHARE, "other"), [])
        self.assertEqual(self.flood("192.0.2.2", 1, "more"), [429])
        # A token that was valid recently is validated again, even under load.
        self.reactor.advance(5)
        self.system.peer = "192.0.2.1"
        self.keystone.silent = False
        self.assertEqual(self.make().status, 200)

    def test_another_network_waits_for_one_answer(self) -> None:
        """A flooding network makes no call wait for a thread, and gets no place that becomes free."""
        self.assertLessEqual(FREE, CONNECTIONS)
        self.keystone.silent = True
        self.flood("192.0.2.1", FREE)
        self.assertEqual(self.flood("192.0.2.2", 1, "other"), [])
        self.keystone.waiting[0].callback(self.keystone.answer_to("made-up-0"))
        self.assertEqual(self.flood("192.0.2.1", 10, "more"), [429] * 10)

    def test_places_are_returned(self) -> None:
        self.keystone.silent = True
        self.flood("192.0.2.1", 100)
        self.reactor.advance(5)
        self.keystone.silent = False
        self.assertEqual(self.flood("192.0.2.1", 100), [401] * 100)


class OutageTests(KeystoneCase):
    def unavailable(self, answer: Response) -> None:
        self.assertEqual((answer.status, list(answer.body)), (503, ["serviceUnavailable"]))
        self.assertNotIn(TOKEN.encode(), answer.raw)

    def test_no_answer_is_not_a_no(self) -> None:
        self.keystone.error = ServiceUnavailable("https://keystone.example:5000 does not answer")
        self.unavailable(self.get())
        self.unavailable(self.make())
        self.keystone.error = None
        for status in (300, 400, 401, 403, 405, 429, 500, 503):
            self.keystone.status = status
            self.unavailable(self.get())
        self.keystone.status = 0
        for body in (None, [], {}, {"token": {}}, {"error": {"code": 404}}):
            self.keystone.tokens[TOKEN] = body
            self.unavailable(self.get())
        self.keystone.tokens[TOKEN] = token_body(expires_at=10_000)
        self.assertEqual(self.get().status, 200)

    def test_lists_go_on_for_a_while(self) -> None:
        self.get()
        self.keystone.error = ServiceUnavailable("down")
        self.reactor.advance(299)
        self.assertEqual(self.get().status, 200)
        self.unavailable(self.make())
        self.reactor.advance(1)
        self.unavailable(self.get())

    def test_silence(self) -> None:
        self.keystone.silent = True
        connection = self.system.send("GET", "/v2.1/servers", X_Auth_Token=TOKEN)
        self.reactor.advance(4.9)
        self.assertEqual(connection.answers(), [])
        self.reactor.advance(0.1)
        (answer,) = connection.answers()
        self.unavailable(answer)
        self.keystone.silent = False
        self.assertEqual(self.get().status, 200)

    def test_one_line_in_the_log(self) -> None:
        log = Logged(self)
        self.keystone.status = 401
        for _ in range(5):
            self.unavailable(self.get())
        (line,) = log.lines("are refused with 503")
        why = "users' tokens cannot be validated: Keystone refuses the credentials of [keystone_authtoken]. See [api]"
        self.assertIn(why, line)
        self.assertEqual(log.lines(TOKEN), [])
