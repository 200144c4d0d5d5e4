"""An API with a user file, and requests by its users."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events import RequestRefused
from novnc_twisted.identity import HTTPBasic
from tests.api.harness import FakeHost, FakeReactor, System, instance, quick_hash
from tests.http.harness import Answer
from tests.support.observed import only

RED, ROOT = quick_hash("r3d:pass"), quick_hash("toor")
TOKENS = "/identity/v3/auth/tokens"
UNAUTHORIZED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def log_in(name: Any, password: Any, project: str | None = None, **more: Any) -> dict[str, Any]:
    user = {"name": name, "password": password, "domain": {"id": "default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if project is not None:
        auth["scope"] = {"project": {"name": project, "domain": {"id": "default"}}}
    return {"auth": auth | more}


class UsersCase(SynchronousTestCase):
    """An API with alice of project red, boris of blue and the administrator root.

    Each project has a server, and there is one without a project.
    """

    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text(f"alice:{RED}:red\nroot:{ROOT}\nboris:{RED.replace('$2b$', '$2y$')}:blue-id\n")
        self.reactor = FakeReactor()
        self.refusals: list[RequestRefused] = []
        self.hosts = [
            FakeHost(
                "host1",
                instance("red-vm", project_id="red-id", project_name="red"),
                instance("blue-vm", project_id="blue-id", project_name="blue"),
                instance("nobodys"),
            )
        ]
        self.system = self.build()

    def build(self, transport: Any = None) -> System:
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"])
        system = System(auth, *self.hosts, reactor=self.reactor, observer=only(RequestRefused, self.refusals))
        return self.successResultOf(Deferred.fromCoroutine(system.start()))

    def refused(self, answer: Answer) -> None:
        self.assertEqual((answer.status, answer.body), (401, UNAUTHORIZED))
        self.assertEqual(answer["www-authenticate"], 'Keystone uri="http://localhost:8774/identity"')

    def token(self, name: str = "alice", password: str = "r3d:pass", project: str | None = None) -> str:
        answer = self.system.post(TOKENS, log_in(name, password, project))
        self.assertEqual(answer.status, 201)
        return answer["x-subject-token"]

    def names(self, **headers: str) -> list[str]:
        answer = self.system.get("/v2.1/servers", **headers)
        self.assertEqual(answer.status, 200)
        return [server["name"] for server in answer.body["servers"]]
