"""Power actions through the Compute API, with nova's answers."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from novnc_twisted.events import PowerAction
from novnc_twisted.identity import NoAuth
from tests.api.harness import FakeHost, instance, running, uuid_of
from tests.http.harness import Answer

BODIES = {
    "start": {"os-start": None},
    "stop": {"os-stop": {}},
    "reboot": {"reboot": {"type": "SOFT"}},
    "reset": {"reboot": {"type": "Hard"}},
    "pause": {"pause": None},
    "unpause": {"unpause": None},
    "suspend": {"suspend": None},
    "resume": {"resume": None},
}


class PowerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.host = FakeHost("host1", instance("myserver20"))
        self.events: list[Any] = []
        self.system = running(self, NoAuth(), self.host, observer=self.events.append)

    def act(self, body: Any, version: str = "2.31", name: str = "myserver20") -> Answer:
        path = f"/v2.1/servers/{uuid_of(name)}/action"
        return self.system.post(path, body, X_OpenStack_Nova_API_Version=version)

    def refused(self, answer: Answer, code: int, name: str, message: str) -> None:
        self.assertEqual((answer.status, answer.body), (code, {name: {"code": code, "message": message}}))

    def test_every_action_at_every_version(self) -> None:
        for version in ("2.1", "2.6", "2.31"):
            for action, body in BODIES.items():
                answer = self.act(body, version)
                self.assertEqual((answer.status, answer.body), (202, None), action)
                self.assertEqual(self.host.power, [(uuid_of("myserver20"), action)])
                self.host.power.clear()

    def test_conflicts(self) -> None:
        uuid = uuid_of("myserver20")
        for reply, why in (
            ({"state": "shutoff", "conflict": "state"}, "while it is in vm_state stopped"),
            ({"state": "paused", "conflict": "state"}, "while it is in vm_state paused"),
            ({"state": "running", "conflict": "task", "task": "suspending"}, "while it is in task_state suspending"),
        ):
            self.host.power_reply = reply
            self.refused(self.act(BODIES["stop"]), 409, "conflictingRequest", f"Cannot 'stop' instance {uuid} {why}")
        self.host.power_reply = {"state": "running", "conflict": "transient"}
        message = f"Cannot 'stop' instance {uuid}: its domain is transient and would be deleted."
        self.refused(self.act(BODIES["stop"]), 409, "conflictingRequest", message)

    def test_each_action_is_reported(self) -> None:
        """Refused actions are reported, too, except on a server that does not exist."""
        self.act(BODIES["reset"])
        self.host.power_reply = {"state": "shutoff", "conflict": "state"}
        self.act(BODIES["stop"])
        self.host.power_reply = {"state": "running", "conflict": "because"}
        self.act(BODIES["start"])
        self.act(BODIES["start"], name="other")
        found = [(event.action, event.cause) for event in self.events]
        self.assertEqual(found, [("reset", ""), ("stop", "state"), ("start", "ServiceUnavailable")])
        for event in self.events:
            self.assertIsInstance(event, PowerAction)
            self.assertEqual((event.instance_uuid, event.instance_name), (uuid_of("myserver20"), "myserver20"))
            self.assertEqual((event.address, event.user_id), ("127.0.0.1", "admin"))

    def test_wrong_bodies(self) -> None:
        for body in ({"reboot": {}}, {"reboot": None}, {"reboot": {"type": "WARM"}}, {"reboot": {"type": 1}}):
            self.assertEqual(self.act(body).status, 400)
        self.refused(self.act({"evacuate": None}), 400, "badRequest", "There is no such action: evacuate")
        self.assertEqual(self.host.power, [])

    def test_an_unknown_server(self) -> None:
        message = f"Instance {uuid_of('other')} could not be found."
        self.refused(self.act(BODIES["start"], name="other"), 404, "itemNotFound", message)

    def test_a_host_that_answers_nonsense(self) -> None:
        self.host.power_reply = {"state": "running", "conflict": "because"}
        self.assertEqual(self.act(BODIES["start"]).status, 503)
