"""An API with a simulated Keystone."""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.identity import KeystoneUsers
from novnc_twisted.keystone import Answer
from tests.api.harness import FakeHost, FakeReactor, System, instance, running, uuid_of
from tests.http.harness import Answer as Response
from tests.support.identity import token_body

URL = "https://keystone.example:5000/v3"
TOKEN = "gAAAAABalice"
CONSOLE = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


class FakeKeystone:
    """Answers at once; if ``silent``, when the test fires ``waiting``.

    :ivar tokens: the valid tokens.
    :ivar asked: the header fields of each request.
    :ivar error: if set, each request fails with it.
    :ivar status: if not 0, each request gets this status.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, Any] = {}
        self.asked: list[Mapping[str, str]] = []
        self.error: Exception | None = None
        self.status = 0
        self.silent = False
        self.waiting: list[Deferred[Answer]] = []

    def request(self, method: str, path: str, *, headers: Mapping[str, str]) -> "Deferred[Any]":
        assert (method, path) == ("GET", "/auth/tokens?nocatalog")
        self.asked.append(headers)
        result: Deferred[Answer] = Deferred()
        if self.silent:
            self.waiting.append(result)
        elif self.error is not None:
            result.errback(self.error)
        else:
            result.callback(self.answer_to(headers["X-Subject-Token"]))
        return result

    def answer_to(self, token: str) -> Answer:
        if self.status:
            return Answer(self.status, {})
        return Answer(200, self.tokens[token]) if token in self.tokens else Answer(404, {"error": {"code": 404}})


class KeystoneCase(SynchronousTestCase):
    """Alice is a member of the project red-id, whose server is red-vm."""

    cache_time = 300

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.keystone = FakeKeystone()
        self.keystone.tokens[TOKEN] = token_body(expires_at=10_000)
        self.system = self.build()

    def build(self, **more: Any) -> System:
        auth = KeystoneUsers(
            self.reactor,
            self.keystone,
            identity_url=URL,
            cache_time=self.cache_time,
            now=self.reactor.seconds,
            **more,
        )
        host = FakeHost(
            "host1",
            instance("red-vm", project_id="red-id", project_name="red"),
            instance("other-red-vm", project_id="other-red-id", project_name="red"),
            instance("nobodys"),
        )
        return running(self, auth, host, reactor=self.reactor)

    def get(self, path: str = "/v2.1/servers", token: str = TOKEN, **headers: str) -> Response:
        return self.system.get(path, X_Auth_Token=token, **headers)

    def make(self, token: str = TOKEN, server: str = "red-vm", **headers: str) -> Response:
        path = f"/v2.1/servers/{uuid_of(server)}/remote-consoles"
        return self.system.post(path, CONSOLE, X_Auth_Token=token, OpenStack_API_Version="compute 2.6", **headers)

    def names(self, **more: Any) -> list[str]:
        self.keystone.tokens["t"] = token_body(expires_at=10_000, **more)
        self.addCleanup(self.reactor.advance, 300)
        answer = self.get(token="t")
        self.reactor.advance(300)
        self.assertEqual(answer.status, 200, answer.body)
        return sorted(server["name"] for server in answer.body["servers"])
