"""Nova's API as the authority: what each answer of nova means for a console."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from novnc_twisted.consoleauth.nova_api import NO_SERVER, NovaAPI
from novnc_twisted.consoleauth.nova_authority import MAX_FIRST_USES, NovaAuthority
from novnc_twisted.contract import ConnectInfo
from novnc_twisted.errors import (
    ConsoleForbidden,
    ConsoleTypeUnavailable,
    InstanceNotFound,
    InstanceNotRunning,
    InvalidToken,
    Refusal,
    ServiceUnavailable,
)
from novnc_twisted.keystone import Answer
from tests.support.logged import Logged

TOKEN = "2b1c3d4e-0000-4000-8000-00000000000a"
FRESH = "2b1c3d4e-0000-4000-8000-00000000000b"
SERVER = "5e7f0000-0000-4000-8000-00000000000b"
NEW = ("10.0.0.6", 5901, SERVER, "myserver20", True)


class FakeClient:
    """Answers requests from a table; other paths get 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.paths: list[str] = []
        self.held: list[Any] | None = None

    def request(self, method: str, path: str, *, json=None) -> "Deferred[Answer]":
        self.paths.append(f"{method} {path}")
        if method == "POST":
            assert json == {"remote_console": {"protocol": "vnc", "type": "novnc"}}, json
        answer = self.answers.get(path, Answer(404, {}))
        # A list has one answer for each request.
        found = answer.pop(0) if isinstance(answer, list) else answer
        if self.held is None:
            return succeed(found)
        waiting: Deferred[Answer] = Deferred()
        self.held.append((waiting, found))
        return waiting

    def hold(self) -> list[Any]:
        """Hold the answers back until :meth:`release`; return the list of them."""
        self.held = []
        return self.held

    def release(self) -> None:
        """Send the answers that are held back now."""
        now = list(self.held)
        self.held.clear()
        for waiting, found in now:
            waiting.callback(found)


class AuthorityCase(TestCase):
    """A NovaAuthority with a fake client."""

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

    def moved(self, **body) -> None:
        """Let the compute host report another address of the console."""
        url = f"https://cloud/vnc_lite.html?path=%3Ftoken%3D{FRESH}"
        self.client.answers[f"/servers/{SERVER}/remote-consoles"] = Answer(200, {"remote_console": {"url": url}})
        place = {"instance_uuid": SERVER, "host": "10.0.0.6", "port": 5901, "internal_access_path": None} | body
        self.client.answers[f"/os-console-auth-tokens/{FRESH}"] = Answer(200, {"console": place})

    def keep(self, address: str = "192.0.2.1") -> None:
        self.successResultOf(Deferred.fromCoroutine(self.authority.keep_token(TOKEN, address)))

    def check(self, address: str = "192.0.2.1") -> "Deferred[ConnectInfo]":
        return Deferred.fromCoroutine(self.authority.check_token(TOKEN, "novnc", address))

    def find_again(self, info: ConnectInfo) -> "Deferred[ConnectInfo | None]":
        return Deferred.fromCoroutine(self.authority.find_again(TOKEN, "192.0.2.1", info))

    def checked(self, token: str = TOKEN, console_type: str = "novnc"):
        return self.successResultOf(
            Deferred.fromCoroutine(self.authority.check_token(token, console_type, "192.0.2.1"))
        )

    def refused(self, kind: type[Refusal], token: str = TOKEN, console_type: str = "novnc") -> Refusal:
        checked = Deferred.fromCoroutine(self.authority.check_token(token, console_type, "192.0.2.1"))
        return self.failureResultOf(checked, kind).value


class AuthorityTests(AuthorityCase):
    def test_ping(self) -> None:
        """404 for a server that does not exist is a valid answer; 500 is not."""
        self.successResultOf(Deferred.fromCoroutine(self.authority.ping()))
        self.assertEqual(self.client.paths, [f"GET /servers/{NO_SERVER}"])
        self.client.answers[f"/servers/{NO_SERVER}"] = Answer(500, {})
        self.failureResultOf(Deferred.fromCoroutine(self.authority.ping()), ServiceUnavailable)

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

    def test_an_invalid_token_is_not_put_into_a_path(self) -> None:
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

    def test_errors_of_nova(self) -> None:
        for status in (400, 401, 403, 429, 500, 502, 503):
            for path in (f"/os-console-auth-tokens/{TOKEN}", f"/servers/{SERVER}", f"/servers/{NO_SERVER}"):
                self.setUp()
                if path.endswith(NO_SERVER) and status in (401, 403):
                    continue  # the credentials may not read servers
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

    def test_a_place_that_is_asked_for_again(self) -> None:
        info = self.checked()
        self.assertFalse(info.current)
        self.moved()
        found = self.successResultOf(self.find_again(info))
        assert found is not None
        self.assertEqual((found.host, found.port, found.instance_uuid, found.name, found.current), NEW)

    def test_a_server_that_moves_while_it_is_asked(self) -> None:
        info = self.checked()
        self.moved()
        here, there = (
            Answer(200, {"server": {"status": "ACTIVE", "tenant_id": "red", "OS-EXT-SRV-ATTR:host": host}})
            for host in ("compute1", "compute2")
        )
        self.client.answers[f"/servers/{SERVER}"] = [here, there]
        self.failureResultOf(self.find_again(info), ServiceUnavailable)
        self.client.answers[f"/servers/{SERVER}"] = [there, there]
        self.assertEqual(self.successResultOf(self.find_again(info)).compute_host, "compute2")
        self.moved(instance_uuid="5e7f0000-0000-4000-8000-00000000000c")
        self.client.answers[f"/servers/{SERVER}"] = [there, there]
        self.failureResultOf(self.find_again(info), ServiceUnavailable)

    def test_a_compute_host_that_does_not_have_the_server(self) -> None:
        info = self.checked()
        for status, kind in (
            (404, ServiceUnavailable),
            (409, ServiceUnavailable),
            (400, ConsoleTypeUnavailable),
            (500, ServiceUnavailable),
        ):
            self.client.answers[f"/servers/{SERVER}/remote-consoles"] = Answer(status, {})
            self.failureResultOf(self.find_again(info), kind)
        for url in (None, 7, "", "http://[", "http://h/?path=x", "http://h/?path=%3Ftoken%3D../servers", "//h?token="):
            answer = Answer(200, {"remote_console": {"url": url}})
            self.client.answers[f"/servers/{SERVER}/remote-consoles"] = answer
            self.failureResultOf(self.find_again(info), ServiceUnavailable)

    def test_a_session_that_lost_its_server(self) -> None:
        """Nova drops the tokens of a server that has moved; its viewer reconnects with the same token."""
        self.checked()
        self.keep()
        del self.client.answers[f"/os-console-auth-tokens/{TOKEN}"]
        self.moved()
        self.now += 59
        info = self.checked()
        self.assertEqual((info.host, info.port, info.instance_uuid, info.name, info.current), NEW)
        # From another address, and after a minute without a session, the token is unknown.
        self.failureResultOf(self.check("192.0.2.2"), InvalidToken)
        self.keep("192.0.2.2")
        self.failureResultOf(self.check("192.0.2.2"), InvalidToken)
        self.now += 59
        self.checked()
        self.now += 60
        self.refused(InvalidToken)

    def test_simultaneous_requests_for_a_lost_session(self) -> None:
        """Independent requests are sent together, because the viewer waits for them."""
        self.checked()
        self.keep()
        self.moved()
        del self.client.answers[f"/os-console-auth-tokens/{TOKEN}"]
        self.client.paths.clear()
        held = self.client.hold()
        asked = self.check()
        rounds = []
        while held:
            rounds.append(sorted(self.client.paths))
            self.client.paths.clear()
            self.client.release()
        self.assertEqual(self.successResultOf(asked).port, 5901)
        self.assertEqual(
            rounds,
            [
                [f"GET /os-console-auth-tokens/{TOKEN}", f"GET /servers/{SERVER}"],
                [f"POST /servers/{NO_SERVER}/remote-consoles"],
                [f"POST /servers/{SERVER}/remote-consoles"],
                [f"GET /os-console-auth-tokens/{FRESH}", f"GET /servers/{SERVER}"],
            ],
        )

    def test_a_token_without_a_session_does_not_come_back(self) -> None:
        self.checked()
        self.moved()
        del self.client.answers[f"/os-console-auth-tokens/{TOKEN}"]
        self.refused(InvalidToken)
        self.assertNotIn(f"POST /servers/{SERVER}/remote-consoles", self.client.paths)

    def test_a_session_whose_server_was_given_away(self) -> None:
        self.checked()
        self.keep()
        self.moved()
        del self.client.answers[f"/os-console-auth-tokens/{TOKEN}"]
        self.server(status="ACTIVE", name="myserver20", tenant_id="blue")
        self.refused(ConsoleForbidden)
        self.server(status="SHUTOFF", name="myserver20", tenant_id="red")
        self.refused(InstanceNotRunning)
        del self.client.answers[f"/servers/{SERVER}"]
        self.refused(InstanceNotFound)

    def test_no_reconnection_with_an_enforced_time_or_without_rights(self) -> None:
        for options, rights in (({"enforce_session_timeout": True}, 404), ({}, 401)):
            self.setUp()
            self.authority = self.make(**options)
            self.client.answers[f"/servers/{NO_SERVER}/remote-consoles"] = Answer(rights, {})
            self.checked()
            self.keep()
            self.moved()
            del self.client.answers[f"/os-console-auth-tokens/{TOKEN}"]
            self.refused(InvalidToken)

    def test_remembered_first_uses_are_bounded(self) -> None:
        self.authority = self.make(token_ttl=60, enforce_session_timeout=True)
        for number in range(MAX_FIRST_USES + 10):
            token = f"{number:08x}"
            self.client.answers[f"/os-console-auth-tokens/{token}"] = self.client.answers[
                f"/os-console-auth-tokens/{TOKEN}"
            ]
            self.authority._first_use(token)
        self.assertEqual(len(self.authority._first_uses), MAX_FIRST_USES)
