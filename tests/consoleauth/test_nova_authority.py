"""Nova's API as the authority: what each answer of nova means for a console."""

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from novnc_twisted.consoleauth.nova_api import NO_SERVER, NovaAPI
from novnc_twisted.consoleauth.nova_authority import MAX_FIRST_USES, NovaAuthority
from novnc_twisted.errors import (
    ConsoleForbidden,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    Refusal,
    ServiceUnavailable,
)
from novnc_twisted.keystone import Answer
from tests.support.logged import Logged

TOKEN = "2b1c3d4e-0000-4000-8000-00000000000a"
SERVER = "5e7f0000-0000-4000-8000-00000000000b"


class FakeClient:
    """Answers requests from a table; what is not in it is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.paths: list[str] = []

    def request(self, method: str, path: str) -> "Deferred[Answer]":
        self.paths.append(f"{method} {path}")
        return succeed(self.answers.get(path, Answer(404, {})))


class AuthorityTests(TestCase):
    def setUp(self) -> None:
        self.client = FakeClient()
        self.now = 1000.0
        self.authority = self.make()
        self.console(instance_uuid=SERVER, host="10.0.0.5", port=5900, internal_access_path=None, tls_port=None)
        self.server(
            status="ACTIVE",
            name="myserver20",
            tenant_id="red",
            user_id="alice",
            **{"OS-EXT-SRV-ATTR:instance_name": "instance-00000001", "OS-EXT-SRV-ATTR:host": "compute1"},
        )

    def make(self, **options) -> NovaAuthority:
        return NovaAuthority(NovaAPI(self.client), now=lambda: self.now, **options)

    def console(self, **body) -> None:
        self.client.answers[f"/os-console-auth-tokens/{TOKEN}"] = Answer(200, {"console": body})

    def server(self, **body) -> None:
        self.client.answers[f"/servers/{SERVER}"] = Answer(200, {"server": body})

    def checked(self, token: str = TOKEN, console_type: str = "novnc"):
        return self.successResultOf(
            Deferred.fromCoroutine(self.authority.check_token(token, console_type, "192.0.2.1"))
        )

    def refused(self, kind: type[Refusal], token: str = TOKEN, console_type: str = "novnc") -> Refusal:
        checked = Deferred.fromCoroutine(self.authority.check_token(token, console_type, "192.0.2.1"))
        return self.failureResultOf(checked, kind).value

    def test_a_good_token(self) -> None:
        info = self.checked()
        self.assertEqual((info.host, info.port, info.instance_uuid), ("10.0.0.5", 5900, SERVER))
        self.assertEqual((info.name, info.project_id, info.compute_host), ("myserver20", "red", "compute1"))
        self.assertEqual((info.expires_at, info.reconnects), (None, True))
        self.checked()
        probes = [path for path in self.client.paths if NO_SERVER in path]
        self.assertEqual((len(probes), len(self.client.paths)), (1, 5))

    def test_an_unknown_token(self) -> None:
        self.refused(InvalidToken, "2b1c3d4e-0000-4000-8000-00000000000c")

    def test_what_is_no_token_never_reaches_a_path(self) -> None:
        for token in ("../servers/x", "a/b", "a%2fb", "a?b", "a#b", "ü", "a b", ".", "", "x" * 256):
            self.refused(InvalidToken, token)
        self.assertEqual(self.client.paths, [])

    def test_another_kind_of_console(self) -> None:
        self.refused(ConsoleForbidden, console_type="xvpvnc")

    def test_states_without_a_screen(self) -> None:
        for status in ("SHUTOFF", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "BUILD"):
            self.server(status=status, name="a")
            self.assertIn(status, self.refused(InstanceNotRunning).detail)
        for status in ("DELETED", "SOFT_DELETED"):
            self.server(status=status, name="a")
            self.refused(InstanceNotFound)
        for status in ("ACTIVE", "PAUSED", "RESCUE", "REBOOT", "ERROR", "VERIFY_RESIZE", "", "NEW_IN_NOVA_99"):
            self.server(status=status, name="a")
            self.checked()

    def test_a_server_that_was_deleted(self) -> None:
        del self.client.answers[f"/servers/{SERVER}"]
        self.refused(InstanceNotFound)

    def test_no_right_to_read_servers(self) -> None:
        for status in (401, 403):
            self.client.answers[f"/servers/{NO_SERVER}"] = Answer(status, {})
            self.authority = self.make()
            logged = Logged(self)
            info = self.checked()
            self.checked()
            self.assertEqual((info.port, info.name, info.compute_host), (5900, "", None))
            self.assertEqual(len(logged.lines("GET /servers")), 1)
        self.assertNotIn(f"GET /servers/{SERVER}", self.client.paths)

    def test_no_answer_is_not_a_no(self) -> None:
        for status in (400, 401, 403, 429, 500, 502, 503):
            for path in (f"/os-console-auth-tokens/{TOKEN}", f"/servers/{SERVER}", f"/servers/{NO_SERVER}"):
                self.setUp()
                if path.endswith(NO_SERVER) and status in (401, 403):
                    continue  # that is an answer
                self.client.answers[path] = Answer(status, {"itemNotFound": {}})
                self.assertNotIn(TOKEN, self.refused(ServiceUnavailable).detail)

    def test_answers_that_make_no_sense(self) -> None:
        for body in (None, [], {}, {"console": None}, {"console": {}}):
            self.client.answers[f"/os-console-auth-tokens/{TOKEN}"] = Answer(200, body)
            self.refused(ServiceUnavailable)
        good = {"instance_uuid": SERVER, "host": "h", "port": 1}
        for wrong in ({"port": "5900"}, {"port": 65536}, {"port": True}, {"host": ""}, {"instance_uuid": "x"}):
            self.console(**(good | wrong))
            self.refused(ServiceUnavailable)
        self.console(**good)
        for name in (None, 7, "a\nb", "\ud800", "x" * 5000):
            self.server(status="ACTIVE", name=name)
            self.assertEqual(self.checked().name, "")

    def test_enforced_time(self) -> None:
        self.authority = self.make(token_ttl=60, enforce_session_timeout=True)
        info = self.checked()
        self.assertEqual((info.expires_at, info.reconnects), (1060.0, False))
        self.now = 1050.0
        self.assertEqual(self.checked().expires_at, 1060.0)

    def test_remembered_first_uses_are_bounded(self) -> None:
        self.authority = self.make(token_ttl=60, enforce_session_timeout=True)
        for number in range(MAX_FIRST_USES + 10):
            token = f"{number:08x}"
            self.client.answers[f"/os-console-auth-tokens/{token}"] = self.client.answers[
                f"/os-console-auth-tokens/{TOKEN}"
            ]
            self.authority._first_use(token)
        self.assertEqual(len(self.authority._first_uses), MAX_FIRST_USES)
