"""Keys through the console API: rights, limits, errors and events."""

import json
from typing import Any

from twisted.internet.defer import Deferred

from novnc_twisted.api.console.keys import MAX_OF_USER
from novnc_twisted.events import KeysSent
from novnc_twisted.identity import HTTPBasic
from tests.api.harness import System, uuid_of
from tests.api.test_console_api import ALICE, BORIS, ROOT
from tests.api.users import UsersCase
from tests.http.harness import Answer
from tests.support.observed import only

PATH = f"/console/v1/servers/{uuid_of('red-vm')}/keys"


class KeysTests(UsersCase):
    def setUp(self) -> None:
        super().setUp()
        self.events: list[KeysSent] = []
        auth = HTTPBasic(self.reactor, self.file, admin_users=["root"])
        system = System(auth, *self.hosts, reactor=self.reactor, observer=only(KeysSent, self.events))
        self.system = self.successResultOf(Deferred.fromCoroutine(system.start()))

    def keys(self, body: Any, who: dict[str, str] = ALICE) -> Answer:
        return self.system.post(PATH, body, **who)

    def typed(self) -> list[Any]:
        return [chord for strokes in self.hosts[0].strokes for chord in strokes.chords]

    def test_a_text(self) -> None:
        answer = self.keys({"text": "aZ\n", "layout": "de"})
        self.assertEqual((answer.status, answer.body), (204, None))
        self.assertEqual(self.typed(), [(30,), (42, 21), (28,)])
        self.assertEqual([(one.keys, one.cause, one.user_id) for one in self.events], [(4, "", "alice")])

    def test_the_layout_is_us_by_default(self) -> None:
        self.keys({"text": "z"})
        self.assertEqual(self.typed(), [(44,)])

    def test_keys(self) -> None:
        self.assertEqual(self.keys({"keys": ["ctrl", "alt", "delete"]}).status, 204)
        self.assertEqual(self.typed(), [(29, 56, 111)])

    def test_rights(self) -> None:
        body = {"text": "x"}
        self.assertEqual(self.keys(body, ROOT).status, 204)
        self.assertEqual(self.keys(body, BORIS).status, 404)
        self.assertEqual(self.keys(body, {}).status, 401)
        self.assertEqual(len(self.typed()), 1)

    def test_errors_name_what_is_wrong(self) -> None:
        for body, part in (
            ({"text": "a\u0436", "layout": "de"}, "The layout de has no key for '\u0436' (U+0436)."),
            ({"text": "\x1b"}, "The layout us has no key for U+001B."),
            ({"text": "a", "layout": "klingon"}, "not one of at, be"),
            ({"text": ""}, "1 to 1000 characters"),
            ({"text": "x" * 1001}, "1 to 1000 characters"),
            ({"text": 5}, "1 to 1000 characters"),
            ({"keys": ["hyper"]}, "Key 'hyper' is unknown"),
            ({"keys": ["ctrl", "ctrl"]}, "Key 'ctrl' is unknown or occurs twice."),
            ({"keys": []}, "1 to 8 names"),
            ({"keys": ["a"] * 9}, "1 to 8 names"),
            ({"keys": "ctrl"}, "1 to 8 names"),
            ({"keys": ["a"], "layout": "de"}, "'layout' was unexpected"),
            ({"text": "a", "keys": ["a"]}, "Exactly one of text and keys is required."),
            ({}, "Exactly one of text and keys is required."),
            ([], "Malformed request body"),
        ):
            answer = self.keys(body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn(part, answer.body["badRequest"]["message"])
        self.assertEqual((self.typed(), self.events), ([], []))

    def test_errors_repeat_no_text(self) -> None:
        """The text may be a password."""
        for body in ({"text": "s3cret\u0436"}, {"text": "s3cret", "layout": "x"}, {"text": "s3cret" * 500}):
            self.assertNotIn(b"s3cret", self.keys(body).raw)

    def test_a_stopped_server(self) -> None:
        self.hosts[0].instances[uuid_of("red-vm")]["state"] = "paused"
        self.assertEqual(self.keys({"text": "x"}).status, 409)
        self.assertEqual([(one.keys, one.cause) for one in self.events], [(0, "InstanceNotRunning")])

    def test_long_texts_leave_room_for_other_requests(self) -> None:
        """Only a few requests of a user send keys at the same time."""
        waiting: list[Deferred[None]] = []

        async def begin_keys(instance_uuid: str) -> Any:
            waiting.append(Deferred())
            await waiting[-1]
            return {}

        (host,) = (one for one in self.system.transport._served if one.topic == "compute.host1")
        self.patch(host, "methods", {**host.methods, "begin_keys": begin_keys})
        body = json.dumps({"text": "x"}).encode()
        asked = [
            self.system.send("POST", PATH, body, Content_Type="application/json", **ALICE)
            for _ in range(MAX_OF_USER + 1)
        ]
        self.assertEqual((asked[-1].answers()[0].status, len(waiting)), (429, MAX_OF_USER))
        self.assertEqual(self.system.get("/v2.1/servers", **ALICE).status, 200)
        for one in waiting:
            one.callback(None)
        self.system.send("POST", PATH, body, Content_Type="application/json", **ALICE)
        self.assertEqual(len(waiting), MAX_OF_USER + 1)

    def test_other_keys_are_being_sent(self) -> None:
        self.hosts[0].typing = True
        answer = self.keys({"text": "x"})
        self.assertEqual((answer.status, list(answer.body)), (409, ["conflictingRequest"]))
        self.assertEqual([(one.keys, one.cause) for one in self.events], [(0, "task")])
